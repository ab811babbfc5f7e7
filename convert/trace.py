"""What a model does with a clip: its text, its logits, what leaves each stage, and the time that its network takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.ctc import GreedyDecoder
from ds2edge.runtime.errors import GateNotMet
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Logits, Network, States
from ds2edge.runtime.recognizer import Stream
from ds2edge.runtime.specification import Graph, Specification


@dataclass(frozen=True)
class Stage:
    """What leaves one stage of a network, and the output steps at which it was seen."""

    steps: npt.NDArray[np.int64]  # [n], rising
    values: npt.NDArray[np.float32]  # [n, ...]

    def beside(self, other: Stage) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Values of both at the steps that both were seen at."""
        _, here, there = np.intersect1d(self.steps, other.steps, assume_unique=True, return_indices=True)
        return self.values[here], other.values[there]


@dataclass(frozen=True)
class Trace:
    """One clip through one model."""

    text: str
    logits: Stage  # those that the text was decoded from, step by step
    stages: dict[str, Stage]  # all before the logits, in the order of the network
    seconds: float  # spent in the network


class Tracer(Protocol):
    """A loaded model that clips can be run through."""

    path: Path
    specification: Specification
    graph: Graph
    engine: str

    def trace(self, samples: Samples) -> Trace:
        """Runs a clip, float32 [n] with n > 0 at the model's rate. GateNotMet if what comes out is no number."""


class StreamTracer:
    """A .tflite file with a step graph, chunk after chunk and on one thread as on a device. Its states are its stages:
    those of a convolution or a lookahead are what goes in, those of a recurrent layer what comes out."""

    def __init__(self, path: Path) -> None:
        """InputError for anything but a file of `ds2edge convert`."""
        self.path, self._network = path, Network(path, threads=1)
        self.specification, self.graph = self._network.specification, self._network.graph
        self.engine = self._network.interpreter

    def trace(self, samples: Samples) -> Trace:
        """As of a Tracer."""
        network, decoder = _Recorder(self._network), _Decoder(self.specification)
        stream = Stream(network, decoder)
        stream.accept(samples, self.specification.features.sample_rate)
        text = stream.finish().text
        logits = np.concatenate(decoder.logits)
        if not np.isfinite(logits).all():
            raise GateNotMet(f"{self.path}: it computes logits that are no numbers (NaN): convert it again")
        ends = self.graph.chunk_steps * np.arange(1, len(network.states) + 1)
        stages = {name: Stage(ends, np.stack([state[name] for state in network.states])) for name in network.states[0]}
        return Trace(text, Stage(np.arange(len(logits)), logits), stages, network.seconds)


class _Recorder:
    """A network that also keeps the states after each chunk, and how long all took."""

    def __init__(self, network: Network) -> None:
        self._network, self.specification, self.graph = network, network.specification, network.graph
        self.initial_states = network.initial_states
        self.states: list[States] = []
        self.seconds = 0.0

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        started = time.perf_counter()
        logits, following = self._network.step(frames, states)
        self.seconds += time.perf_counter() - started
        self.states.append(following)
        return logits, following


class _Decoder(GreedyDecoder):
    """A decoder that also keeps what it is given: the logits that count, the same steps whatever the chunk."""

    def __init__(self, specification: Specification) -> None:
        super().__init__(specification.alphabet, specification.step_seconds)
        self.logits: list[Logits] = []

    def accept(self, logits: Logits) -> None:
        self.logits.append(logits)
        super().accept(logits)
