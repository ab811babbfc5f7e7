"""What a model does with a clip: its text, its logits, what leaves each stage, and the time that its network takes."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import GreedyDecoder
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Logits, Network, Rows, States
from ds2edge.runtime.stream import Stream
from ds2edge.runtime.specification import Specification
from ds2edge.runtime.whole_clip import CONVOLUTIONS, OUTPUT


@dataclass(frozen=True)
class Stage:
    """What leaves one stage of a network, and the output steps at which it was seen."""

    steps: npt.NDArray[np.int64]  # [n], rising
    values: npt.NDArray[np.float32]  # [n, ...]

    def beside(self, other: Stage) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Values of both at the steps that both were seen at."""
        _, here, there = np.intersect1d(
            self.steps, other.steps, assume_unique=True, return_indices=True
        )
        return self.values[here], other.values[there]


@dataclass(frozen=True)
class Trace:
    """One clip through one model."""

    text: str
    logits: Stage  # those that the text was decoded from, step by step
    stages: dict[str, Stage]  # all before the logits, in the order of the network
    seconds: float  # spent in the network


class StreamTracer:
    """A .tflite file, chunk after chunk and on one thread as on a device.

    The stages of a model that streams are its states: those of a convolution or a lookahead are what goes in, those of
    a recurrent layer what comes out. Those of a bidirectional one are what leaves the convolutions and each layer.
    """

    def __init__(self, path: Path) -> None:
        """InputError for anything but a file of `ds2edge convert`."""
        self.path, self._network = path, Network(path, threads=1)
        self.specification, self.graph = self._network.specification, self._network.graph
        self.engine = self._network.interpreter

    def trace(self, samples: Samples) -> Trace:
        """Runs a clip, float32 [n] with n > 0 at the model's rate. QualityCheckFailed if what comes out is no number."""
        network, decoder = _Recorder(self._network), _Decoder(self.specification)
        stream = Stream(network, decoder)
        stream.accept(samples, self.specification.features.sample_rate)
        text = stream.finish().text
        logits = np.concatenate(decoder.logits)
        if not np.isfinite(logits).all():
            raise QualityCheckFailed(
                f"{self.path}: it computes logits that are no numbers (NaN): convert it again"
            )
        stages = network.stages(self.graph.warmup + len(logits))
        return Trace(text, Stage(np.arange(len(logits)), logits), stages, network.seconds)


class _Recorder:
    """A network that also keeps what it was seen to compute, and how long all took."""

    def __init__(self, network: Network) -> None:
        self._network, self.specification, self.graph = (
            network,
            network.specification,
            network.graph,
        )
        self.initial_states = network.initial_states
        layers = self.graph.layers
        self._giver = dict(
            zip((*layers, OUTPUT), (CONVOLUTIONS, *layers), strict=True)
        )  # of what goes into a part
        self._kept: dict[str, list[npt.NDArray[np.float32]]] = defaultdict(list)
        self.seconds = 0.0

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        started = time.perf_counter()
        logits, following = self._network.step(frames, states)
        self.seconds += time.perf_counter() - started
        for name, state in following.items():
            self._kept[name].append(state)
        return logits, following

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        started = time.perf_counter()
        output, following = self._network.run(part, x, states)
        self.seconds += time.perf_counter() - started
        if part in self._giver:
            self._kept[self._giver[part]].append(x)
        return output, following

    def stages(self, steps: int) -> dict[str, Stage]:
        """Those of a clip of so many steps."""
        if self.graph.layers:
            return {
                name: Stage(np.arange(steps), np.concatenate(rows)[:steps])
                for name, rows in self._kept.items()
            }
        size = self.graph.chunk_steps
        return {
            name: Stage(size * np.arange(1, len(states) + 1), np.stack(states))
            for name, states in self._kept.items()
        }


class _Decoder(GreedyDecoder):
    """A decoder that also keeps what it is given: the logits that count, the same steps whatever the chunk."""

    def __init__(self, specification: Specification) -> None:
        super().__init__(specification.alphabet, specification.step_seconds)
        self.logits: list[Logits] = []

    def accept(self, logits: Logits) -> None:
        self.logits.append(logits)
        super().accept(logits)
