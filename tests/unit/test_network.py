"""Which models each interpreter is given, and which are refused because they would crash it."""

import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support import GOLDEN

from ds2edge.runtime import engine, network
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import FeatureSettings
from ds2edge.runtime.model_file import SPECIFICATION
from ds2edge.runtime.network import UNSUPPORTED_ON_ARMV7, Network
from ds2edge.runtime.specification import (
    Graph,
    Specification,
    State,
    attach_specification,
    read_specification,
)


class FakeInterpreter:
    """An interpreter that accepts any file."""

    def __init__(self, model_path: str, num_threads: int) -> None:
        self.model_path = model_path

    def allocate_tensors(self) -> None:
        pass

    def get_signature_list(self) -> dict[str, object]:
        return {"step": None}

    def get_signature_runner(self, name: str) -> SimpleNamespace:
        """A graph for the specification of `model`."""
        return SimpleNamespace(
            get_input_details=lambda: {"features": {"shape": (1, 8, 1)}},
            get_output_details=lambda: {"logits": {"shape": (1, 4, 2)}},
        )


def model(path, mode):
    """A file with the specification of a model of that mode, and nothing else."""
    features = FeatureSettings(mel_bands=1)
    path.write_bytes(b"")
    attach_specification(
        path, Specification("x", ("", "a"), features, (0.0,), (1.0,), Graph(mode, 4, 2, 0, 0, ()))
    )
    return path


@pytest.fixture
def interpreter(monkeypatch):
    """A function that sets which interpreter is installed."""

    def install(name, interpreter_class=FakeInterpreter):
        for module in (engine, network):
            monkeypatch.setattr(module, "find_interpreter", lambda: (interpreter_class, name))

    return install


def crash(**_: object) -> None:
    raise AssertionError("loaded")


def test_the_modes_that_32_bit_arm_cannot_run():
    assert UNSUPPORTED_ON_ARMV7 == ("int8", "dynamic")


@pytest.mark.parametrize("mode", UNSUPPORTED_ON_ARMV7)
def test_tflite_runtime_is_never_given_dense_weights_per_channel(interpreter, tmp_path, mode):
    interpreter("tflite-runtime 2.14.0", crash)
    with pytest.raises(InputError) as problem:
        Network(model(tmp_path / "m.tflite", mode))
    assert str(problem.value) == (
        f"{tmp_path / 'm.tflite'}: tflite-runtime 2.14.0 cannot run a model of mode {mode}: "
        "make one with `ds2edge convert --mode armv7`"
    )


@pytest.mark.parametrize("mode", ["armv7", "float16", "float32"])
def test_tflite_runtime_runs_the_other_modes(interpreter, tmp_path, mode):
    interpreter("tflite-runtime 2.14.0")
    assert Network(model(tmp_path / "m.tflite", mode)).interpreter == "tflite-runtime 2.14.0"


@pytest.mark.parametrize("name", ["ai-edge-litert 2.3.0", "tensorflow 2.21.0"])
def test_the_other_interpreters_run_every_mode(interpreter, tmp_path, name):
    interpreter(name)
    for mode in ("int8", "dynamic", "armv7"):
        assert Network(model(tmp_path / f"{mode}.tflite", mode)).graph.mode == mode


def golden_with(folder, **change):
    """The golden model with another specification."""
    with zipfile.ZipFile(GOLDEN) as archive:
        size = archive.getinfo(SPECIFICATION).header_offset
    path = folder / "m.tflite"
    path.write_bytes(GOLDEN.read_bytes()[:size])
    attach_specification(path, replace(read_specification(GOLDEN), **change))
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chunk_steps": 8}, "step/features has shape"),
        ({"states": ()}, "is no state of the specification"),
        ({"states": (State("h_7", (1, 3)),)}, "step/h_7 has shape None, not (1, 3)"),
        ({"layers": ("gru_0",)}, "no graph convolutions"),
    ],
)
def test_a_graph_that_does_not_fit_its_specification_is_one_line(tmp_path, change, says):
    path = golden_with(tmp_path, graph=replace(read_specification(GOLDEN).graph, **change))
    with pytest.raises(InputError) as problem:
        Network(path)
    assert str(problem.value).startswith(f"{path}: the graph does not fit the specification")
    assert says in str(problem.value)
    assert "\n" not in str(problem.value)


def test_an_alphabet_of_another_size_does_not_fit(tmp_path):
    path = golden_with(tmp_path, alphabet=("", "a"))
    with pytest.raises(InputError, match=r"step/logits has shape .*, not \(1, 16, 2\)"):
        Network(path)
