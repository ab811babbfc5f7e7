"""What a model computes on a clip: its text, its logits, the output of each stage, and its time."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Logits, Network, Rows, States
from ds2edge.runtime.specification import CONVOLUTIONS, OUTPUT, Specification
from ds2edge.runtime.stream import Stream

LOGITS = "logits"  # name of the last stage


@dataclass(frozen=True)
class Stage:
    """Values of one stage of a network, and the output steps at which they were recorded."""

    steps: npt.NDArray[np.int64]  # [n], rising
    values: npt.NDArray[np.float32]  # [n, ...]

    def at_common_steps(
        self, other: Stage
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Values of this stage and of the other one, at the steps that both have."""
        _, own, others = np.intersect1d(
            self.steps, other.steps, assume_unique=True, return_indices=True
        )
        return self.values[own], other.values[others]


@dataclass(frozen=True)
class Trace:
    """One clip through one model."""

    text: str
    # The logits that the text was decoded from, at every step.
    logits: Stage
    # All stages before the logits, in network order.
    stages: dict[str, Stage]
    # Time spent in the network, in seconds.
    seconds: float

    @property
    def all_stages(self) -> dict[str, Stage]:
        """The stages, the logits last."""
        return self.stages | {LOGITS: self.logits}


class Tracer:
    """Runs clips through a .tflite file chunk by chunk, on one thread, as a device does.

    The stages of a streaming model are its states: the input of a convolution or of the
    lookahead, the output of a recurrent layer, the keys and values of attention. The stages of a
    bidirectional model are the output of the convolutions and of each layer.
    """

    def __init__(self, path: Path) -> None:
        """InputError if `path` is not a file of `ds2edge convert`."""
        self.path = path
        self._network = Network(path, threads=1)
        self.specification = self._network.specification
        self.graph = self._network.graph
        self.engine = self._network.interpreter

    def trace(self, samples: Samples) -> Trace:
        """Runs one clip: float32 [n] at the model's sample rate, n > 0.

        QualityCheckFailed if the logits are not finite.
        """
        network = _RecordingNetwork(self._network)
        decoder = _RecordingDecoder(self.specification)
        stream = Stream(network, decoder)
        stream.accept(samples, self.specification.features.sample_rate)
        text = stream.finish().text
        logits = np.concatenate(decoder.logits)
        if not np.isfinite(logits).all():
            raise QualityCheckFailed(
                f"{self.path}: it computes logits that are not numbers (NaN): convert it again"
            )
        return Trace(
            text=text,
            logits=Stage(np.arange(len(logits)), logits),
            stages=network.stages(self.graph.warmup + len(logits)),
            seconds=network.seconds,
        )


class _RecordingNetwork:
    """A network that also keeps the values of its stages and counts its time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.specification = network.specification
        self.graph = network.graph
        self.initial_states = network.initial_states
        self.seconds = 0.0
        self._recorded: dict[str, list[npt.NDArray[np.float32]]] = defaultdict(list)
        # The input of a part is the output of the stage before it.
        layers = self.graph.layers
        self._stage_before = dict(zip((*layers, OUTPUT), (CONVOLUTIONS, *layers), strict=True))

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        started = time.perf_counter()
        logits, next_states = self._network.step(frames, states)
        self.seconds += time.perf_counter() - started
        for name, state in next_states.items():
            self._recorded[name].append(state)
        return logits, next_states

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        started = time.perf_counter()
        output, next_states = self._network.run(part, x, states)
        self.seconds += time.perf_counter() - started
        if part in self._stage_before:
            self._recorded[self._stage_before[part]].append(x)
        return output, next_states

    def stages(self, steps: int) -> dict[str, Stage]:
        """The stages of a clip of `steps` output steps."""
        if self.graph.layers:
            return {
                name: Stage(np.arange(steps), np.concatenate(rows)[:steps])
                for name, rows in self._recorded.items()
            }
        # States are seen at the end of each chunk only.
        size = self.graph.chunk_steps
        return {
            name: Stage(size * np.arange(1, len(states) + 1), np.stack(states))
            for name, states in self._recorded.items()
        }


class _RecordingDecoder(GreedyDecoder):
    """A decoder that also keeps the logits it is given: the same steps for any chunk length."""

    def __init__(self, specification: Specification) -> None:
        super().__init__(specification.alphabet, specification.step_seconds)
        self.logits: list[Logits] = []

    def accept(self, logits: Logits) -> None:
        self.logits.append(logits)
        super().accept(logits)
