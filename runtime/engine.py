"""The graphs of a .tflite file, run by whichever LiteRT is installed, in the leanest way that it knows."""

from __future__ import annotations

import atexit
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

# Distribution, module: the first that is installed serves. tensorflow is the last resort, never imported otherwise.
INTERPRETERS = [
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite"),
]

AT_HWCAP, HWCAP_ASIMDDP = (
    16,
    1 << 20,
)  # of Linux: what a processor can do, and one thing that it can


class Engine(Protocol):
    """A loaded file."""

    inputs: dict[str, dict[str, tuple[int, ...]]]  # of each signature: shapes by name

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        """One of its graphs: float32 tensors by name in and out."""


def load_engine(path: str | os.PathLike[str], threads: int, share_weights: bool) -> Engine:
    """The file in the first of the libraries that is installed. InputError if there is none, or it cannot load this.

    `share_weights`, where the library can: one packed copy of a weight serves all operations that use it. LiteRT packs
    their scales along and does not ask whether they are equal: a graph in which they are not would compute nonsense.
    """
    interpreter_class, name = find_interpreter()
    try:
        with quiet():
            if share_weights and can_share_weights():
                return _Compiled(Path(path), threads)
            return _Interpreted(Path(path), threads, interpreter_class)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: {name} cannot load this model ({reason})") from None


def find_interpreter() -> tuple[type[Any], str]:
    """Interpreter class and what to call it ("ai-edge-litert 2.3.0"); InputError if none is installed."""
    for distribution, module in INTERPRETERS:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ImportError:
            continue
        return interpreter, f"{distribution} {importlib.metadata.version(distribution)}"
    raise InputError(
        "no LiteRT interpreter is installed: pip install ai-edge-litert (32-bit Arm: tflite-runtime)"
    )


def can_share_weights() -> bool:
    """Whether the library that is used has a cache of packed weights, and its CompiledModel runs on this processor."""
    _, name = find_interpreter()
    if not name.startswith("ai-edge-litert") or not _has_dot_products():
        return False
    try:
        options = importlib.import_module("ai_edge_litert.cpu_options").CpuOptions
    except ImportError:  # of an earlier version
        return False
    return "xnnpack_weight_cache_path" in options.__dataclass_fields__


def _has_dot_products() -> bool:
    """On 64-bit Arm under Linux: whether the processor is of Armv8.2 with dot products, as a Raspberry Pi 5's is.

    On those of a Pi 3 and 4 (Cortex-A53, A72) CompiledModel of ai-edge-litert 2.3.0 dies of an illegal instruction.
    """
    if (sys.platform, platform.machine()) != ("linux", "aarch64"):
        return True
    capabilities = ctypes.CDLL(None).getauxval
    capabilities.restype = ctypes.c_ulong
    return bool(capabilities(AT_HWCAP) & HWCAP_ASIMDDP)


class _Interpreted:
    """The classic interpreter. XNNPACK packs the weights of every operation anew there: a graph that is unrolled over
    16 steps holds, and reads, 16 copies of its recurrent weights."""

    def __init__(self, path: Path, threads: int, interpreter_class: type[Any]) -> None:
        self._interpreter = interpreter_class(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        # Inputs and outputs go by name: their indexes change from one conversion to the next.
        names = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in names}
        self.inputs = {
            name: _shapes(runner.get_input_details()) for name, runner in self._runners.items()
        }

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        outputs: Tensors = self._runners[signature](**inputs)
        return outputs


class _Compiled:
    """LiteRT's CompiledModel, whose cache of packed weights keeps one copy of each: less memory, and more of them stay
    in the processor's own caches."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.cpu_options import CpuOptions
        from ai_edge_litert.options import Options

        cpu = CpuOptions(num_threads=threads, xnnpack_weight_cache_path=":memory")
        self._model = CompiledModel.from_file(
            str(path), options=Options(cpu_options=cpu), environment=_environment()
        )
        model, found = self._model, self._model.get_signature_list()
        self.inputs = {name: _shapes(model.get_input_tensor_details(name)) for name in found}
        self._shapes = {name: _shapes(model.get_output_tensor_details(name)) for name in found}
        self._inputs = {
            name: {
                tensor: model.create_input_buffer_by_name(name, tensor)
                for tensor in tensors["inputs"]
            }
            for name, tensors in found.items()
        }
        self._outputs = {
            name: {
                tensor: model.create_output_buffer_by_name(name, tensor)
                for tensor in tensors["outputs"]
            }
            for name, tensors in found.items()
        }
        for (
            name,
            shapes,
        ) in (
            self.inputs.items()
        ):  # the first use of a buffer makes, and tells of, a second environment
            self.run(
                name, {tensor: np.zeros(shape, np.float32) for tensor, shape in shapes.items()}
            )

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Tensors:
        buffers, outputs = self._inputs[signature], self._outputs[signature]
        for name, value in inputs.items():
            buffers[name].write(value)
        self._model.run_by_name(signature, buffers, outputs)
        return {
            name: outputs[name].read(int(np.prod(shape)), np.float32).reshape(shape)
            for name, shape in self._shapes[signature].items()
        }


def _shapes(details: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(int(size) for size in tensor["shape"]) for name, tensor in details.items()}


@functools.cache
def _environment() -> Any:
    """What all compiled models share: made, and let go, once in a process, since both are told on standard error."""
    from ai_edge_litert.environment import Environment, EnvironmentOptions

    atexit.register(_mute)
    folder = importlib.import_module("ai_edge_litert").__path__[0]
    return Environment.create(options=EnvironmentOptions(runtime_path=folder))


def _mute() -> None:
    """The last that a process says: what comes after are the destructors of LiteRT, which list what they destroy."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
