"""Runs a .tflite file on one thread, in the kit's engine or in LiteRT's default interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ds2edge.runtime.network import Network
from ds2edge.runtime.quiet import quiet


class DefaultInterpreter:
    """LiteRT's `Interpreter` with default settings, and the methods of the kit's `Network`.

    The model takes `features` and states by name. It returns `logits`, and the next value of each
    state as `NAME_next`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with quiet():
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
            (signature,) = self._interpreter.get_signature_list()
            self._run = self._interpreter.get_signature_runner(signature)
        self._shapes = {
            name: tuple(tensor["shape"]) for name, tensor in self._run.get_input_details().items()
        }
        self.frames_shape = self._shapes.pop("features")[1:]  # frames, bins

    def initial_states(self) -> dict[str, np.ndarray]:
        """Zeros."""
        return {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}

    def step(
        self, frames: np.ndarray, states: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Runs one chunk.

        Takes frames [chunk_frames, bins] and the states. Returns logits [chunk_steps, symbols] and
        the next states.
        """
        outputs = self._run(features=frames[None], **states)
        return outputs["logits"][0], {name: outputs[f"{name}_next"] for name in states}


ENGINES: dict[str, Callable[[Path], Any]] = {"kit": Network, "default": DefaultInterpreter}


def silent_step(network: Network | DefaultInterpreter) -> Callable[[], object]:
    """A function that runs one chunk of zeros. The time does not depend on the audio."""
    if isinstance(network, Network):
        shape = (network.graph.chunk_frames, network.specification.features.bins)
    else:
        shape = network.frames_shape
    frames = np.zeros(shape, np.float32)
    states = network.initial_states()
    return lambda: network.step(frames, states)
