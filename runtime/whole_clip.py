"""A bidirectional model at work: its layers one after the other, each over the whole clip and both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.network import Logits, Rows, States
from ds2edge.runtime.specification import Graph

# Parts of a bidirectional graph, and what the name of a layer's other direction ends in.
CONVOLUTIONS, OUTPUT, BACKWARD = "convolutions", "output", "_backward"


class PartedNetwork(Protocol):
    """What a whole clip needs of a network."""

    graph: Graph

    def initial_states(self) -> States:
        """What every part begins with."""

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """One chunk through one part: its input and all states in, its output and all states out."""


class WholeClip:
    """One clip that a bidirectional model hears. Nothing can be said before its end.

    Memory grows with what leaves the convolutions, and with what enters and leaves one layer, step by step: both ways
    of a layer are added up in one place.
    """

    def __init__(self, network: PartedNetwork) -> None:
        """Networks keep no clip's state: clips may be interleaved."""
        self._network, self._size = network, network.graph.chunk_steps
        self._states = network.initial_states()
        self._heard = bytearray()  # float32 [steps, values]; grows without being copied
        self._values = 0

    def hear(self, frames: npt.NDArray[np.float32], steps: int) -> None:
        """Next chunk, float32 [chunk_frames, bins], of whose steps the first so many belong to the clip."""
        rows, self._states = self._network.run(CONVOLUTIONS, frames, self._states)
        self._heard += rows[:steps].tobytes()
        self._values = rows.shape[1]

    def logits(self) -> Iterator[Logits]:
        """Logits [steps, symbols] of the clip that ends here, chunk after chunk from its beginning."""
        if not self._heard:
            return
        rows = np.frombuffer(self._heard, np.float32).reshape(-1, self._values)
        for layer in self._network.graph.layers:
            rows = self._both_ways(layer, rows)
            self._heard = bytearray()  # what the first layer took in: no longer needed
        yield from self._through(OUTPUT, rows)

    def _both_ways(self, layer: str, rows: Rows) -> Rows:
        """[steps, values] -> [steps, units]."""
        units = next(state.shape[-1] for state in self._network.graph.states if state.part == layer)
        total = np.zeros((len(rows), units), np.float32)
        for part, inputs, outputs in (
            (layer, rows, total),
            (layer + BACKWARD, rows[::-1], total[::-1]),
        ):
            first = 0
            for chunk in self._through(part, inputs):
                outputs[first : first + len(chunk)] += chunk
                first += len(chunk)
        return total

    def _through(self, part: str, rows: Rows) -> Iterator[Rows]:
        """What one part says of the rows, chunk after chunk. The last chunk is filled up, which no step before sees."""
        states = self._states
        for first in range(0, len(rows), self._size):
            some = rows[first : first + self._size]
            chunk = np.zeros((self._size, rows.shape[1]), np.float32)
            chunk[: len(some)] = some
            output, states = self._network.run(part, chunk, states)
            yield output[: len(some)]
