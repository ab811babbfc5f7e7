"""Runs a bidirectional model: layer after layer, each over the whole clip in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.network import Logits, Rows, States
from ds2edge.runtime.specification import BACKWARD, CONVOLUTIONS, OUTPUT, Graph


class PartedNetwork(Protocol):
    """A network that runs part by part, as `WholeClip` needs it."""

    graph: Graph

    def initial_states(self) -> States:
        """The states at the start of every part."""

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """Runs one chunk through one part, as `Network.run` does."""


class WholeClip:
    """One clip in a bidirectional model, which returns nothing before the end of the clip.

    Memory grows with the length of the clip: by one step of the output of the convolutions, or of
    the input and the output of one layer.
    """

    def __init__(self, network: PartedNetwork) -> None:
        """Clips of one network may be interleaved."""
        self._network = network
        self._chunk_steps = network.graph.chunk_steps
        self._states = network.initial_states()
        # Output of the convolutions, float32 [steps, values]: bytes, which grow without a copy.
        self._convolved = bytearray()
        self._values = 0

    def accept(self, frames: npt.NDArray[np.float32], steps: int) -> None:
        """Takes the next chunk, float32 [chunk_frames, bins].

        Only the first `steps` output steps of the chunk belong to the clip.
        """
        rows, self._states = self._network.run(CONVOLUTIONS, frames, self._states)
        self._convolved += rows[:steps].tobytes()
        self._values = rows.shape[1]

    def logits(self) -> Iterator[Logits]:
        """Ends the clip and yields its logits [steps, symbols], chunk by chunk from the start."""
        if not self._convolved:
            return
        rows = np.frombuffer(self._convolved, np.float32).reshape(-1, self._values)
        for layer in self._network.graph.layers:
            rows = self._run_both_ways(layer, rows)
            self._convolved = bytearray()  # no longer needed after the first layer
        yield from self._run_chunks(OUTPUT, rows)

    def _run_both_ways(self, layer: str, rows: Rows) -> Rows:
        """The sum of the outputs of both directions: [steps, values] -> [steps, units]."""
        units = next(state.shape[-1] for state in self._network.graph.states if state.part == layer)
        total = np.zeros((len(rows), units), np.float32)
        self._add_output(layer, rows, total)
        self._add_output(layer + BACKWARD, rows[::-1], total[::-1])
        return total

    def _add_output(self, part: str, rows: Rows, total: Rows) -> None:
        first = 0
        for chunk in self._run_chunks(part, rows):
            total[first : first + len(chunk)] += chunk
            first += len(chunk)

    def _run_chunks(self, part: str, rows: Rows) -> Iterator[Rows]:
        """Yields the output of one part, chunk by chunk.

        The last chunk is filled up with zeros; as they come last, no step depends on them.
        """
        states = self._states
        for first in range(0, len(rows), self._chunk_steps):
            chunk = rows[first : first + self._chunk_steps]
            padded = np.zeros((self._chunk_steps, rows.shape[1]), np.float32)
            padded[: len(chunk)] = chunk
            output, states = self._network.run(part, padded, states)
            yield output[: len(chunk)]
