"""Runs a model one chunk at a time: feature frames and states in, logits and next states out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.engine import find_interpreter, load_engine
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import STEP, Graph, Specification, read_specification

Logits = npt.NDArray[np.float32]  # [steps, symbols]
Rows = npt.NDArray[np.float32]  # [steps, values]
States = dict[str, npt.NDArray[np.float32]]

# Modes that tflite-runtime, the interpreter of 32-bit Arm, cannot run: their dense weights are
# quantized per channel. Its last version, 2.14.0, has no such operation for dynamic models, and
# the one for int8 models can end the process with a segmentation fault.
UNSUPPORTED_ON_ARMV7 = ("int8", "dynamic")

# What every part of a bidirectional model has beside its states.
PART_TENSORS = ("input", "output")


class Network:
    """A loaded model.

    It holds no state of a stream, so many streams can use one network in turn, from one thread.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Loads the file and the specification in it.

        InputError for anything but a file made by `ds2edge convert`.
        """
        self.path = Path(path)
        self.specification: Specification = read_specification(path)
        if self.specification.graph is None:
            raise InputError(
                f"{path}: the specification inside describes no graph: convert the run again"
            )
        self.graph: Graph = self.specification.graph
        _, self.interpreter = find_interpreter()
        if (
            self.interpreter.startswith("tflite-runtime")
            and self.graph.mode in UNSUPPORTED_ON_ARMV7
        ):
            raise InputError(
                f"{path}: {self.interpreter} cannot run a model of mode {self.graph.mode}: "
                "make one with `ds2edge convert --mode armv7`"
            )
        self._engine = load_engine(self.path, threads, self.graph.shares_weights)
        self._require_agreement()

    def _require_agreement(self) -> None:
        """Raises InputError if the graphs have other tensors than the specification says."""
        graph = self.graph
        inputs = {(state.part, state.name): state.shape for state in graph.states}
        outputs = {(state.part, state.output): state.shape for state in graph.states}
        if not graph.layers:
            symbols = len(self.specification.alphabet)
            inputs[STEP, "features"] = (1, graph.chunk_frames, self.specification.features.bins)
            outputs[STEP, "logits"] = (1, graph.chunk_steps, symbols)
        problems = [
            f"no graph {name}" for name in graph.signatures if name not in self._engine.inputs
        ]
        for expected, actual in ((inputs, self._engine.inputs), (outputs, self._engine.outputs)):
            for (signature, name), shape in expected.items():
                found = actual.get(signature, {}).get(name)
                if found != shape:
                    problems.append(f"{signature}/{name} has shape {found}, not {shape}")
            problems += [
                f"{signature}/{name} is no state of the specification"
                for signature, tensors in actual.items()
                for name in tensors
                if (signature, name) not in expected and name not in PART_TENSORS
            ]
        if problems:
            raise InputError(
                f"{self.path}: the graph does not fit the specification inside ({problems[0]}): "
                "convert the run again"
            )

    def initial_states(self) -> States:
        """The states at the start of a stream: zeros."""
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """Runs one chunk of a streaming model.

        Takes float32 [chunk_frames, bins] and the states. Returns logits, float32 [chunk_steps,
        symbols], and the next states.
        """
        outputs = self._engine.run(STEP, {"features": frames[None], **states})
        next_states = {state.name: outputs[state.output] for state in self.graph.states}
        return outputs["logits"][0], next_states

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """Runs one chunk through one part of a bidirectional model (see `Graph`).

        Takes the input of the part and all states. Returns its output, float32 [chunk_steps,
        values], and all states.
        """
        own = [state for state in self.graph.states if state.part == part]
        inputs = {"input": x} | {state.name: states[state.name] for state in own}
        outputs = self._engine.run(part, inputs)
        return outputs["output"], states | {state.name: outputs[state.output] for state in own}
