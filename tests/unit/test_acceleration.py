"""Memory that training keeps, and its report of the devices."""

import logging
import platform
import subprocess
import sys
from types import SimpleNamespace

import keras
import pytest

from ds2edge.train import acceleration
from ds2edge.train.model.layers import RecurrentLayer
from ds2edge.train.model.quasi_recurrent import QuasiRecurrentLayer

PROGRAM = """
import resource, sys
import numpy as np
from ds2edge.train.acceleration import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def tensors():
    for _ in range(20):
        np.ones(50_000_000, np.uint8)
tensors()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
tensors()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is tuned")
def test_freed_memory_is_used_again():
    """50 MB are 12,000 pages. If they are returned, the system clears each at every new use."""
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 1000 < faults["leave"]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or bool(acceleration.gpus()),
    reason="no GPU may be seen",
)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_on_a_cpu_no_recurrence_runs_on_cudnn(cell):
    layer = RecurrentLayer(cell, 4)
    layer.build((None, None, 5))
    assert not acceleration.runs_on_cudnn(layer)


@pytest.mark.parametrize(
    ("layer", "ranges", "level", "message"),
    [
        (RecurrentLayer("gru", 4), {}, "WARNING", "the gru layers do not run on cuDNN"),
        (RecurrentLayer("gru", 4), {"logits": (0.0, 1.0)}, "INFO", "each step is rounded"),
        (QuasiRecurrentLayer(4), {}, "INFO", "on GPU:0, float32"),  # it needs no cuDNN
    ],
)
def test_the_report_names_the_gpu_and_warns_of_slow_layers(
    monkeypatch, caplog, layer, ranges, level, message
):
    layer.build((None, None, 4))
    monkeypatch.setattr(acceleration, "gpus", lambda: ["GPU:0"])
    cell = "qrnn" if isinstance(layer, QuasiRecurrentLayer) else "gru"
    recipe = SimpleNamespace(
        training=SimpleNamespace(precision="float32"), model=SimpleNamespace(cell=cell)
    )
    model = SimpleNamespace(ranges=ranges, encoder=[layer])
    with caplog.at_level(logging.INFO, "ds2edge"):
        acceleration.report_devices(model, recipe)
    (record,) = caplog.records
    assert record.levelname == level
    assert message in record.getMessage()
