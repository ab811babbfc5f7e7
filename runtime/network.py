"""The graphs of a .tflite file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.engine import find_interpreter, load_engine
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import Graph, Specification, read_specification

Logits = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]  # [steps, values]
States = dict[str, npt.NDArray[np.float32]]

# Modes with dense weights quantized per channel. tflite-runtime 2.14.0, the last one, has no such operation of dynamic
# models, and its int8 one can end the whole process with a segmentation fault on 32-bit Arm.
PER_CHANNEL = ("int8", "dynamic")


class Network:
    """A loaded model. It keeps no stream's state, so one network serves many streams in turn (not threads at once)."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Loads the file and the specification inside. InputError for anything but a file of `ds2edge convert`."""
        self.path = Path(path)
        self.specification: Specification = read_specification(path)
        if self.specification.graph is None:
            raise InputError(
                f"{path}: the specification inside describes no graph: convert the run again"
            )
        self.graph: Graph = self.specification.graph
        _, self.interpreter = find_interpreter()
        if self.interpreter.startswith("tflite-runtime") and self.graph.mode in PER_CHANNEL:
            raise InputError(
                f"{path}: {self.interpreter} cannot run a model of mode {self.graph.mode}: "
                "make one with `ds2edge convert --mode armv7`"
            )
        self._engine = load_engine(path, threads, self.graph.shares_weights)

    def initial_states(self) -> States:
        """What a stream begins with: zeros."""
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """One chunk: float32 [chunk_frames, bins] and states -> logits float32 [chunk_steps, symbols], next states."""
        outputs = self._engine.run("step", {"features": frames[None], **states})
        return outputs["logits"][0], {
            state.name: outputs[state.output] for state in self.graph.states
        }

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """One chunk through one part of a bidirectional model, see Graph: its input and all states in, its output
        float32 [chunk_steps, values] and all states out."""
        own = [state for state in self.graph.states if state.part == part]
        outputs = self._engine.run(
            part, {"input": x} | {state.name: states[state.name] for state in own}
        )
        return outputs["output"], states | {state.name: outputs[state.output] for state in own}
