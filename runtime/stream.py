"""One recording on its way through a model: samples in, text out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.arrays import check_rate, check_samples
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.beam import Alternative
from ds2edge.runtime.decoding.ctc import Decoder, Meaning, Word
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.endpoint import Endpointer
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Logits, States
from ds2edge.runtime.specification import Specification
from ds2edge.runtime.whole_clip import PartedNetwork, WholeClip

# Samples that enter the front end at once; bounds the memory that one long `accept` takes.
BLOCK_SAMPLES = 16000


@dataclass(frozen=True)
class Result:
    """The transcript of a recording."""

    text: str
    words: list[Word]
    duration: float  # seconds of audio
    meaning: Meaning | None = None  # of a phrase
    # The best texts with their scores, best first, if they were asked for.
    alternatives: list[Alternative] = field(default_factory=list)


class StepNetwork(PartedNetwork, Protocol):
    """What a stream needs of a network: a `Network`, or one that records."""

    specification: Specification

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """Runs one chunk of a streaming model, as `Network.step` does."""


class Stream:
    """A recording that is being transcribed.

    The result does not depend on how the samples are cut into calls. With a bidirectional model,
    all text comes when the stream finishes.
    """

    def __init__(self, network: StepNetwork, decoder: Decoder | Endpointer | None = None) -> None:
        """`Recognizer.stream()` makes one. The default `decoder` is greedy."""
        specification = network.specification
        graph = network.graph
        self._network = network
        self._graph = graph
        self._settings = specification.features
        self._features = specification.front_end()
        self._decoder = decoder or GreedyDecoder(specification.alphabet, specification.step_seconds)
        self._states = network.initial_states()
        self._clip = WholeClip(network) if graph.layers else None
        # The first outputs belong to times before the first sample.
        self._steps_to_drop = graph.warmup + graph.lookahead
        self._pending_frames = np.zeros((0, self._settings.bins), np.float32)  # less than a chunk
        self._resampler = Resampler(self._settings.sample_rate)
        self._samples = 0  # at the model's rate
        self._result: Result | None = None
        self._feed(np.zeros(graph.padding.before(self._settings), np.float32), count=False)

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> None:
        """Takes the next samples: [n] or [n, channels], int16, int32 or float in -1..1.

        `rate` is their sample rate in Hz. It may change from call to call. TypeError or InputError
        for other samples and rates, ValueError if the stream is finished.
        """
        if self._result is not None:
            raise ValueError("this stream is finished: begin a new one")
        self._feed(self._resampler.accept(check_samples(samples), check_rate(rate)))

    def partial(self) -> str:
        """The text so far. Its last word may still change."""
        return self._decoder.text()

    def finish(self) -> Result:
        """Ends the recording and returns its transcript."""
        if self._result is None:
            self._feed(self._resampler.finish())
            duration = round(self._samples / self._settings.sample_rate, 3)
            if self._samples:
                self._flush()
            words = self._decoder.final_words()
            text = " ".join(word.text for word in words)
            meaning = self._decoder.meaning(text)
            self._result = Result(text, words, duration, meaning=meaning)
        return self._result

    def _feed(self, samples: Samples, count: bool = True) -> None:
        """Runs all whole chunks; `count`: the samples belong to the recording."""
        if count:
            self._samples += len(samples)
        size = self._graph.chunk_frames
        for start in range(0, len(samples), BLOCK_SAMPLES):
            frames = self._features.accept(samples[start : start + BLOCK_SAMPLES])
            frames = np.concatenate([self._pending_frames, frames])
            whole = len(frames) - len(frames) % size
            for first in range(0, whole, size):
                self._run_chunk(frames[first : first + size], self._graph.chunk_steps)
            self._pending_frames = frames[whole:]

    def _flush(self) -> None:
        """Decodes the rest: the network needs silence after the last sample."""
        graph = self._graph
        silence = graph.padding.after(self._samples, self._settings)
        self._feed(np.zeros(silence, np.float32), count=False)
        rest = len(self._pending_frames)
        if rest:  # whole steps by construction: fill up the chunk, and keep the logits of the rest
            chunk = np.zeros((graph.chunk_frames, self._settings.bins), np.float32)
            chunk[:rest] = self._pending_frames
            self._run_chunk(chunk, rest // graph.time_stride)
        if self._clip:
            for logits in self._clip.logits():
                self._decode(logits)

    def _run_chunk(self, frames: npt.NDArray[np.float32], steps: int) -> None:
        """Runs the network on [chunk_frames, bins]; only the first `steps` output steps count."""
        if self._clip:
            self._clip.accept(frames, steps)
            return
        logits, self._states = self._network.step(frames, self._states)
        self._decode(logits[:steps])

    def _decode(self, logits: Logits) -> None:
        dropped = min(self._steps_to_drop, len(logits))
        self._steps_to_drop -= dropped
        self._decoder.accept(logits[dropped:])
