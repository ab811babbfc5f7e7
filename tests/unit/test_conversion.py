"""Conversion writes what was asked for, or nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from support import MINI

from ds2edge.convert import conversion
from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import Inspection, inspect_model
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.network import Network
from ds2edge.train.run import Run

# The command line of a machine on which neither keras nor tensorflow can be imported.
WITHOUT_KERAS = """
import sys
sys.modules.update(keras=None, tensorflow=None)
from ds2edge.runtime.cli import main
main()
"""


def crash(*_: object) -> Inspection:
    """Stands in for a converter that dies of a segmentation fault."""
    os.kill(os.getpid(), 11)
    raise AssertionError


def scales_of_dense_weights(path):
    """The numbers of scales that the weights of dense layers have: 1, or one for each channel."""
    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    weights = [
        operation["inputs"][1]
        for operation in interpreter._get_ops_details()
        if operation["op_name"] == "FULLY_CONNECTED"
    ]
    return {len(details[index]["quantization_parameters"]["scales"]) for index in weights}


def test_an_int8_model_is_int8_throughout_in_one_partition(tiny_int8):
    inspection = inspect_model(tiny_int8)
    assert inspection.float_tensors == 0
    assert inspection.partitions == 1
    assert not set(inspection.operations) & {"WHILE", "UNPACK", "PACK", "STRIDED_SLICE", "CUSTOM"}
    assert Network(tiny_int8).graph.mode == "int8"
    assert list(tiny_int8.parent.iterdir()) == [tiny_int8]


def test_an_armv7_model_has_one_scale_for_a_dense_layer(tiny_run, tiny_int8, mini_clips, tmp_path):
    path = tmp_path / "m.tflite"
    converted = convert_run(
        tiny_run.folder, "armv7", mini_clips[:6], path, chunk_steps=4, isolated=False
    )
    assert converted.inspection == inspect_model(tiny_int8)
    assert scales_of_dense_weights(path) == {1}
    # One scale for each output channel of the gates, the candidate and the letters.
    assert scales_of_dense_weights(tiny_int8) == {2 * 24, 24, 29}
    assert Network(path).graph.mode == "armv7"
    assert Network(path).graph.calibration_clips == 6


def test_a_float_model_is_not_mistaken_for_int8(tiny_model):
    inspection = inspect_model(tiny_model)
    assert inspection.float_tensors > 50
    assert "FULLY_CONNECTED" in inspection.float_operations
    with pytest.raises(QualityCheckFailed, match="not fully int8"):
        inspection.require_int8()


def test_each_weight_is_in_the_file_once(tiny_int8, tiny_model, tiny_run):
    weights = tiny_run.best_model().count_params()
    int8_bytes = tiny_int8.stat().st_size
    float_bytes = tiny_model.stat().st_size
    # In so small a model the graph itself takes more space than a second copy of the weights.
    assert weights < 30000
    assert float_bytes < 4 * weights + 120_000
    assert int8_bytes < float_bytes


@pytest.mark.parametrize("mode", ["dynamic", "float16"])
def test_other_modes_run_and_stay_close_to_float(tiny_run, tiny_model, tmp_path, mode):
    path = tmp_path / "m.tflite"
    convert_run(tiny_run.folder, mode, [], path, chunk_steps=4, isolated=False)
    network = Network(path)
    reference = Network(tiny_model)
    shape = (network.graph.chunk_frames, 161)
    frames = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    logits, _ = network.step(frames, network.initial_states())
    expected, _ = reference.step(frames, reference.initial_states())
    assert 0 < np.abs(logits - expected).max() < 0.1 * np.abs(expected).max()


def test_a_process_of_its_own_writes_the_same_model(tiny_run, tiny_model, tmp_path):
    path = tmp_path / "m.tflite"
    convert_run(tiny_run.folder, "float32", [], path, chunk_steps=4)
    network = Network(path)
    reference = Network(tiny_model)
    assert network.specification == reference.specification
    frames = np.ones((network.graph.chunk_frames, 161), np.float32)
    logits, _ = network.step(frames, network.initial_states())
    expected, _ = reference.step(frames, reference.initial_states())
    np.testing.assert_array_equal(logits, expected)


def test_a_crash_of_the_converter_is_a_failed_check_without_a_file(
    tiny_run, mini_clips, tmp_path, monkeypatch
):
    monkeypatch.setattr(conversion, "_build", crash)
    message = "the converter crashed in mode int8; nothing was written"
    with pytest.raises(QualityCheckFailed, match=message):
        convert_run(tiny_run.folder, "int8", mini_clips[:1], tmp_path / "m.tflite", chunk_steps=4)
    assert not list(tmp_path.iterdir())


def test_a_failed_conversion_keeps_the_old_file(tiny_run, tmp_path, monkeypatch):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"the old model")
    monkeypatch.setattr(conversion, "_build", crash)
    with pytest.raises(QualityCheckFailed):
        convert_run(tiny_run.folder, "float32", [], path, chunk_steps=4)
    assert path.read_bytes() == b"the old model"


@pytest.fixture
def no_build(monkeypatch):
    """Fails the test if the conversion itself starts: bad input must be refused before."""

    def fail(*_):
        raise AssertionError("the conversion was started")

    monkeypatch.setattr(conversion, "_build", fail)


@pytest.mark.parametrize("mode", ["int8", "armv7"])
def test_int8_modes_need_speech_to_calibrate_on(no_build, tiny_run, tmp_path, mode):
    with pytest.raises(InputError, match=f"mode {mode} needs --calibration MANIFEST"):
        convert_run(tiny_run.folder, mode, [], tmp_path / "m.tflite", 4, isolated=False)
    assert not list(tmp_path.iterdir())


def test_a_run_of_a_backend_that_is_not_here_can_be_used_but_not_continued(tiny_run, tmp_path):
    """torch has optimizers of its own, whose modules a checkpoint names."""
    run = Run(tmp_path, tiny_run.recipe, tiny_run.specification)
    with zipfile.ZipFile(tiny_run.last) as source, zipfile.ZipFile(run.last, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["compile_config"] = {
                    "optimizer": {"module": "backend.not_here", "class_name": "AdamW", "config": {}}
                }
                content = json.dumps(config).encode()
            copy.writestr(name, content)
    shutil.copy(run.last, run.best)
    for used, expected in zip(run.best_model().weights, tiny_run.best_model().weights, strict=True):
        np.testing.assert_array_equal(used, expected)
    with pytest.raises(InputError, match=r"last.keras: cannot be read as a checkpoint"):
        run.last_model()


@pytest.mark.parametrize("mode", ["int8", "float32"])
def test_a_run_without_a_finished_epoch_is_refused(no_build, tiny_run, tmp_path, mode):
    run = Run.create(tmp_path / "run", tiny_run.recipe, tiny_run.specification)
    with pytest.raises(InputError, match=r"run: .*no epoch"):
        convert_run(run.folder, mode, [], tmp_path / "m.tflite", 4, isolated=False)
    run.best.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"best.keras: cannot be read as a checkpoint"):
        convert_run(run.folder, mode, [], tmp_path / "m.tflite", 4, isolated=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("convert nowhere -o OUTPUT", "nowhere: not a run of `ds2edge train`"),
        ("convert RUN -o OUTPUT", "mode int8 needs --calibration MANIFEST"),
        ("convert RUN -o OUTPUT --calibration no.jsonl", "no.jsonl: cannot be read"),
        ("parity nowhere MANIFEST -m MODEL", "nowhere: not a run of `ds2edge train`"),
        ("parity RUN no.jsonl -m MODEL", "no.jsonl: cannot be read"),
        ("parity RUN MANIFEST -m no.tflite", "no.tflite: no such model file"),
    ],
)
def test_bad_input_is_refused_without_keras(tiny_run, tiny_model, tmp_path, words, message):
    paths = {"RUN": tiny_run.folder, "MODEL": tiny_model, "OUTPUT": tmp_path / "m.tflite"}
    paths["MANIFEST"] = MINI
    for name, path in paths.items():
        words = re.sub(rf"\b{name}\b", str(path), words)
    command = [sys.executable, "-c", WITHOUT_KERAS, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
