"""Runs the graphs of a .tflite file with whichever LiteRT interpreter is installed."""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.quiet import quiet

Tensors = dict[str, npt.NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]

# Distributions and modules, in order of preference. tensorflow is imported only as a last resort.
INTERPRETERS = [
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite"),
]

# Linux: the entry of the auxiliary vector that lists a processor's features, and the bit in it for
# the dot product instructions of 64-bit Arm.
AT_HWCAP = 16
HWCAP_ASIMDDP = 1 << 20


class Engine(Protocol):
    """A loaded model file."""

    inputs: dict[str, Shapes]  # by signature, then by name
    outputs: dict[str, Shapes]

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        """Runs one of the graphs: float32 tensors by name in, float32 tensors by name out."""


def load_engine(path: str | os.PathLike[str], threads: int, share_weights: bool) -> Engine:
    """Loads the file with the first interpreter that is installed.

    With `share_weights`, operations that use the same weights share one packed copy of them, if the
    library can do that. LiteRT shares the scales too and does not check that they are equal: a
    graph in which they differ would compute nonsense.

    InputError if no interpreter is installed or it cannot load the file.
    """
    interpreter_class, name = find_interpreter()
    try:
        with quiet():
            if share_weights and can_share_weights():
                # CompiledModel does not verify the flatbuffer, and a damaged one can end the
                # process. The interpreter verifies it when it opens the file.
                interpreter_class(model_path=str(path))
                return _CompiledEngine(Path(path), threads)
            return _InterpreterEngine(Path(path), threads, interpreter_class)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{path}: {name} cannot load this model ({reason}): "
            "convert it again, or install a newer interpreter"
        ) from None


def find_interpreter() -> tuple[type[Any], str]:
    """Returns the interpreter class and its name and version, such as "ai-edge-litert 2.3.0".

    InputError if none is installed.
    """
    for distribution, module in INTERPRETERS:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ImportError:
            continue
        return interpreter, f"{distribution} {importlib.metadata.version(distribution)}"
    raise InputError(
        "no LiteRT interpreter is installed: pip install ai-edge-litert "
        "(32-bit Arm: tflite-runtime)"
    )


def can_share_weights() -> bool:
    """Whether the library can cache packed weights, and its CompiledModel runs on this machine."""
    _, name = find_interpreter()
    if not name.startswith("ai-edge-litert") or not _compiled_model_runs_here():
        return False
    try:
        options = importlib.import_module("ai_edge_litert.cpu_options").CpuOptions
    except ImportError:  # an older version
        return False
    return "xnnpack_weight_cache_path" in options.__dataclass_fields__


def _compiled_model_runs_here() -> bool:
    """False on 64-bit Arm under Linux if the processor lacks dot product instructions (Armv8.2).

    CompiledModel of ai-edge-litert 2.3.0 dies there of an illegal instruction: on a Raspberry Pi 3
    and 4 (Cortex-A53, A72), but not on a Raspberry Pi 5.
    """
    if (sys.platform, platform.machine()) != ("linux", "aarch64"):
        return True
    capabilities = ctypes.CDLL(None).getauxval
    capabilities.restype = ctypes.c_ulong
    return bool(capabilities(AT_HWCAP) & HWCAP_ASIMDDP)


class _InterpreterEngine:
    """The classic interpreter.

    Its XNNPACK packs the weights of every operation separately: a graph that is unrolled over 16
    steps holds 16 copies of its recurrent weights.
    """

    def __init__(self, path: Path, threads: int, interpreter_class: type[Any]) -> None:
        self._interpreter = interpreter_class(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        # Inputs and outputs go by name: their indexes change from one conversion to the next.
        names = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in names}
        self.inputs = {
            name: _shapes(runner.get_input_details()) for name, runner in self._runners.items()
        }
        self.outputs = {
            name: _shapes(runner.get_output_details()) for name, runner in self._runners.items()
        }

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        outputs: Tensors = self._runners[signature](**inputs)
        return outputs


class _CompiledEngine:
    """LiteRT's CompiledModel with its cache of packed weights.

    It keeps one copy of each weight. That takes less memory, and more of the weights stay in the
    caches of the processor.
    """

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.cpu_options import CpuOptions
        from ai_edge_litert.options import Options

        cpu = CpuOptions(num_threads=threads, xnnpack_weight_cache_path=":memory")
        model = CompiledModel.from_file(
            str(path), options=Options(cpu_options=cpu), environment=_environment()
        )
        signatures = model.get_signature_list()
        self._model = model
        self.inputs = {name: _shapes(model.get_input_tensor_details(name)) for name in signatures}
        self.outputs = {name: _shapes(model.get_output_tensor_details(name)) for name in signatures}
        self._input_buffers = {
            name: {t: model.create_input_buffer_by_name(name, t) for t in tensors["inputs"]}
            for name, tensors in signatures.items()
        }
        self._output_buffers = {
            name: {t: model.create_output_buffer_by_name(name, t) for t in tensors["outputs"]}
            for name, tensors in signatures.items()
        }
        # Run each graph once: the first use of a buffer makes LiteRT create, and log, a second
        # environment. This constructor is called inside `quiet`.
        for name, shapes in self.inputs.items():
            zeros = {tensor: np.zeros(shape, np.float32) for tensor, shape in shapes.items()}
            self.run(name, zeros)

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        buffers = self._input_buffers[signature]
        outputs = self._output_buffers[signature]
        for name, value in inputs.items():
            buffers[name].write(value)
        self._model.run_by_name(signature, buffers, outputs)
        return {
            name: outputs[name].read(int(np.prod(shape)), np.float32).reshape(shape)
            for name, shape in self.outputs[signature].items()
        }


def _shapes(details: dict[str, Any]) -> Shapes:
    return {name: tuple(int(size) for size in tensor["shape"]) for name, tensor in details.items()}


@functools.cache
def _environment() -> Any:
    """The LiteRT environment that all compiled models share, because LiteRT logs each one."""
    from ai_edge_litert.environment import Environment, EnvironmentOptions

    folder = importlib.import_module("ai_edge_litert").__path__[0]
    return Environment.create(options=EnvironmentOptions(runtime_path=folder))
