"""Several devices or processes train like one: the loss of every epoch is that of one device.

The sizes of the batches are odd, so each is filled up with an empty row.
"""

import contextlib
import csv
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import MINI

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("ds2edge"))
RECIPE = """
name = "tiny"
[features]
mel_bands = 32
[model]
width = 16
depth = 1
lookahead = 2
convolutions = [{ channels = 4, kernel = [5, 11], stride = [2, 4] }]
[training]
epochs = 3
batch_size = 5
learning_rate = 1e-2
"""
# Gives tensorflow two devices on one CPU. Under jax an environment variable does that.
TWO_DEVICES = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ds2edge.runtime.cli import main
sys.argv[0] = "ds2edge"
main()
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a training in a process of its own: name of the run, clips, and environment."""
    folder = tmp_path_factory.mktemp("training")
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    for row in rows:
        row["audio"] = str(MINI.parent / row["audio"])
    train = sorted(
        (row for row in rows if row["split"] == "train"), key=lambda row: abs(row["duration"] - 1.3)
    )
    dev = [row for row in rows if row["split"] == "dev"][:3]
    started: list[subprocess.Popen] = []

    def begin(
        name: str,
        clips: int = 10,
        clip_norm: float = 1.0,
        program: tuple[str, ...] = (COMMAND,),
        **environment: str,
    ) -> tuple[Path, subprocess.Popen]:
        manifest, recipe = folder / f"{clips}.jsonl", folder / f"{clip_norm}.toml"
        manifest.write_text("".join(json.dumps(row) + "\n" for row in train[:clips] + dev))
        recipe.write_text(f"{RECIPE}clip_norm = {clip_norm}\n")
        known = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("KERAS_DISTRIBUTION")
        }
        # One worker of joblib is the process itself: others would take as long to start as the
        # training takes. Without optimizations jax compiles sooner.
        environment = {
            **known,
            "DS2EDGE_CACHE": str(folder / "cache"),
            "LOKY_MAX_CPU_COUNT": "1",
            "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            **environment,
        }
        command = [*program, "train", str(recipe), str(manifest), "-o", str(folder / name)]
        started.append(
            subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        )
        return folder / name, started[-1]

    yield begin
    for process in started:  # a process whose partner has failed would wait for it
        process.kill()


def meeting(process: int, port: int) -> dict[str, str]:
    return {
        "KERAS_BACKEND": "jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
        "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
    }


def free_port() -> int:
    """A port below those of outgoing connections, so that none of these takes it first."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def finish(*started: tuple[Path, subprocess.Popen]) -> tuple[list[float], list[str]]:
    """The loss of every epoch, and the standard error of each process."""
    errors = [process.communicate(timeout=500)[1] for _, process in started]
    assert [process.returncode for _, process in started] == [0] * len(started), errors
    with (started[0][0] / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)], errors


def test_under_jax_two_processes_or_devices_follow_one(start):
    port = free_port()
    one = start("one", KERAS_BACKEND="jax")
    devices = start(
        "devices", KERAS_BACKEND="jax", XLA_FLAGS="--xla_force_host_platform_device_count=2"
    )
    processes = [start("processes", **meeting(process, port)) for process in (0, 1)]
    expected, _ = finish(one)
    assert expected[-1] < 0.95 * expected[0]
    of_devices, errors = finish(devices)
    assert "data parallel: 2 devices, 2 of them in this process" in errors[0]
    assert of_devices == pytest.approx(expected, rel=1e-4)
    of_processes, errors = finish(*processes)
    assert "data parallel: 2 devices, 1 of them in this process" in errors[0]
    assert of_processes == pytest.approx(expected, rel=1e-4)
    assert ["epoch 1 of 3" in text for text in errors] == [True, False]  # only process 0 logs


def test_under_tensorflow_two_devices_follow_one(start):
    """The gradient is not clipped, because tensorflow clips on each device before it adds them up.

    The losses agree less closely: AdamW takes a full step even along a gradient that is only
    rounding error, and each device rounds differently.
    """
    environment = {"KERAS_BACKEND": "tensorflow", "clip_norm": 1e6}
    one = start("one-tf", **environment)
    devices = start("devices-tf", program=(sys.executable, "-c", TWO_DEVICES), **environment)
    expected, _ = finish(one)
    of_devices, errors = finish(devices)
    assert "data parallel: 2 devices, 2 of them in this process" in errors[0]
    assert expected[-1] < 0.95 * expected[0]
    assert of_devices == pytest.approx(expected, rel=3e-3)


def test_processes_with_different_data_do_not_begin(start):
    port = free_port()
    started = [
        start("different", clips=9 + process, **meeting(process, port)) for process in (0, 1)
    ]
    for number, (_, process) in enumerate(started):
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 2, errors
        last = errors.splitlines()[-1]
        assert last.startswith(
            f"error: process {1 - number} has another recipe, or other manifests, than"
        )
