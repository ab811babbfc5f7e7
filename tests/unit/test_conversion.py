"""Conversion: what comes out is what was asked for, or nothing does."""

import os

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ds2edge.convert import conversion
from ds2edge.convert.conversion import convert
from ds2edge.convert.inspection import Inspection, inspect_model
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.network import Network


def crash(*_: object) -> Inspection:
    """Stands in for a converter that dies of a segmentation fault."""
    os.kill(os.getpid(), 11)
    raise AssertionError


def scales_of_dense_weights(path):
    """Numbers of scales that weights of dense layers have: 1, or that of the layer's channels."""
    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    weights = [
        o["inputs"][1] for o in interpreter._get_ops_details() if o["op_name"] == "FULLY_CONNECTED"
    ]
    return {len(details[index]["quantization_parameters"]["scales"]) for index in weights}


def test_int8_is_int8_throughout_and_one_partition(tiny_int8):
    path, inspection = tiny_int8, inspect_model(tiny_int8)
    assert inspection.float_tensors == 0
    assert inspection.partitions == 1
    assert not set(inspection.operations) & {"WHILE", "UNPACK", "PACK", "STRIDED_SLICE", "CUSTOM"}
    assert Network(path).graph.mode == "int8"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_armv7_is_int8_too_with_one_scale_for_a_dense_layer(
    tiny_run, tiny_int8, mini_clips, tmp_path
):
    path = tmp_path / "m.tflite"
    conversion = convert(tiny_run.folder, "armv7", mini_clips[:6], path, chunk_steps=4)
    assert conversion.inspection == inspect_model(tiny_int8)
    assert scales_of_dense_weights(path) == {1}
    assert scales_of_dense_weights(tiny_int8) == {
        2 * 24,
        24,
        29,
    }  # channels of gates, candidate, letters
    assert Network(path).graph.mode == "armv7"
    assert Network(path).graph.calibration_clips == 6


def test_armv7_too_asks_for_speech_to_calibrate_on(ds2edge, tiny_run, tmp_path):
    done = ds2edge("convert", tiny_run.folder, "--mode", "armv7", "-o", tmp_path / "m.tflite")
    assert done.returncode == 2
    assert "mode armv7 needs --calibration MANIFEST" in done.stderr


def test_a_float_model_is_not_taken_for_int8(tiny_model):
    inspection = inspect_model(tiny_model)
    assert inspection.float_tensors > 50
    assert "FULLY_CONNECTED" in inspection.float_operations
    with pytest.raises(QualityCheckFailed, match="not fully int8"):
        inspection.require_int8()


def test_each_weight_is_in_the_file_once(tiny_int8, tiny_model, tiny_run):
    weights = tiny_run.best_model().count_params()
    sizes = [len(path.read_bytes()) for path in (tiny_int8, tiny_model)]
    assert (
        weights < 30000
    )  # tiny: the graph itself counts for more than an unrepeated copy of the weights
    assert sizes[1] < 4 * weights + 120_000
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("mode", ["dynamic", "float16"])
def test_other_modes_run_and_stay_close_to_float(tiny_run, tiny_model, tmp_path, mode):
    path = tmp_path / "m.tflite"
    convert(tiny_run.folder, mode, [], path, chunk_steps=4)
    network, reference = Network(path), Network(tiny_model)
    frames = (
        np.random.default_rng(0)
        .standard_normal((network.graph.chunk_frames, 161))
        .astype(np.float32)
    )
    logits, _ = network.step(frames, network.initial_states())
    expected, _ = reference.step(frames, reference.initial_states())
    assert 0 < np.abs(logits - expected).max() < 0.1 * np.abs(expected).max()


def test_a_converter_that_crashes_is_a_message_and_no_file(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_build", crash)
    with pytest.raises(
        QualityCheckFailed, match="the converter crashed in mode int8; nothing was written"
    ):
        convert(tiny_run.folder, "int8", [], tmp_path / "m.tflite", chunk_steps=4)
    assert not list(tmp_path.iterdir())


def test_a_failing_conversion_keeps_the_file_that_was_there(tiny_run, tmp_path, monkeypatch):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"the old model")
    monkeypatch.setattr(conversion, "_build", crash)
    with pytest.raises(QualityCheckFailed):
        convert(tiny_run.folder, "int8", [], path, chunk_steps=4)
    assert path.read_bytes() == b"the old model"
