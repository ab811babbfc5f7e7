"""The step graph of a .tflite file, run by whichever LiteRT interpreter is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.quiet import quiet
from ds2edge.runtime.specification import Graph, Specification, read_specification

Logits = npt.NDArray[np.float32]
States = dict[str, npt.NDArray[np.float32]]

# Distribution, module: the first that is installed serves. tensorflow is the last resort, never imported otherwise.
INTERPRETERS = [
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite"),
]
# Modes with dense weights quantized per channel. tflite-runtime 2.14.0, the last one, has no such operation of dynamic
# models, and its int8 one can end the whole process with a segmentation fault on 32-bit Arm.
PER_CHANNEL = ("int8", "dynamic")


def find_interpreter() -> tuple[type[Any], str]:
    """Interpreter class and what to call it ("ai-edge-litert 2.3.0"); InputError if none is installed."""
    for distribution, module in INTERPRETERS:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ImportError:
            continue
        return interpreter, f"{distribution} {importlib.metadata.version(distribution)}"
    raise InputError("no LiteRT interpreter is installed: pip install ai-edge-litert (32-bit Arm: tflite-runtime)")


class Network:
    """A loaded model. It keeps no stream's state, so one network serves many streams in turn (not threads at once)."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Loads the file and the specification inside. InputError for anything but a file of `ds2edge convert`."""
        self.path = Path(path)
        self.specification: Specification = read_specification(path)
        if self.specification.graph is None:
            raise InputError(f"{path}: the specification inside describes no graph: convert the run again")
        self.graph: Graph = self.specification.graph
        interpreter_class, self.interpreter = find_interpreter()
        if self.interpreter.startswith("tflite-runtime") and self.graph.mode in PER_CHANNEL:
            raise InputError(
                f"{path}: {self.interpreter} cannot run a model of mode {self.graph.mode}: "
                "make one with `ds2edge convert --mode armv7`"
            )
        try:
            with quiet():
                self._interpreter = interpreter_class(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
                # Inputs and outputs go by name: their indexes change from one conversion to the next.
                self._run = self._interpreter.get_signature_runner("step")
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{path}: {self.interpreter} cannot load this model ({reason})") from None
        self._outputs = [(state.name, state.output) for state in self.graph.states]

    def initial_states(self) -> States:
        """What a stream begins with: zeros."""
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """One chunk: float32 [chunk_frames, bins] and states -> logits float32 [chunk_steps, symbols], next states."""
        outputs = self._run(features=frames[None], **states)
        return outputs["logits"][0], {name: outputs[output] for name, output in self._outputs}
