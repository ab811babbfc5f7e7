"""Speech to text: `Recognizer` is a loaded model, `Stream` one recording that is being recognised."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.ctc import DecoderFactory, GreedyDecoder, Word, WordDecoder
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Logits, Network, Rows, States
from ds2edge.runtime.pretrained import PRETRAINED
from ds2edge.runtime.specification import Graph, Specification, silence_after
from ds2edge.runtime.whole_clip import WholeClip

BLOCK = 16000  # samples that go through the front end at once: bounds the memory that one long `accept` takes


@dataclass(frozen=True)
class Result:
    """What was said; `seconds` of audio were heard."""

    text: str
    words: list[Word]
    seconds: float


class Recognizer:
    """A model on a device."""

    def __init__(
        self,
        model: str | os.PathLike[str] = PRETRAINED,
        threads: int = 1,
        decoder: DecoderFactory = GreedyDecoder,
    ) -> None:
        """Loads a .tflite file made by `ds2edge convert`; by default, the English one that comes with the kit.

        InputError if it is none, or if `decoder` cannot serve it.
        """
        self.network = Network(model, threads)
        self.specification = self.network.specification
        self._decoder = decoder
        self.decoder()  # one that cannot serve this model says so now, not when the first stream begins

    def stream(self) -> Stream:
        """A new stream. Streams of one recognizer may be interleaved, from one thread."""
        return Stream(self.network, self.decoder())

    def decoder(self) -> WordDecoder:
        """A new decoder for a stream of this model's logits."""
        return self._decoder(self.specification.alphabet, self.specification.step_seconds)

    def transcribe(
        self,
        audio: AudioFile | str | os.PathLike[str],
        heard: Callable[[float], object] | None = None,
    ) -> Result:
        """A whole sound file of any length, in constant memory; of a bidirectional model, in that of `WholeClip`.

        InputError if it cannot be read.

        `heard` is told the seconds of each block: a progress bar, say.
        """
        audio, stream = audio if isinstance(audio, AudioFile) else AudioFile(audio), self.stream()
        for block in audio.blocks():
            stream.accept(block, audio.rate)
            if heard:
                heard(len(block) / audio.rate)
        return stream.finish()


class StepNetwork(Protocol):
    """What a stream needs of a network; `Network` is one, the float model under calibration another."""

    specification: Specification
    graph: Graph

    def initial_states(self) -> States:
        """What a stream begins with."""

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """One chunk: frames and states in, logits and next states out."""

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """Of a bidirectional model: one chunk through one part, as `Network.run`."""


class Decoder(Protocol):
    """What a stream needs of a decoder."""

    def accept(self, logits: Logits) -> None:
        """Next logits [steps, symbols]."""

    def words(self) -> list[Word]:
        """The words so far."""

    def text(self) -> str:
        """The words so far, one space between them."""


class Stream:
    """Samples in, text out, as it is spoken. How the samples are cut into calls changes nothing.

    With a bidirectional model all text comes when the stream finishes.
    """

    def __init__(self, network: StepNetwork, decoder: Decoder | None = None) -> None:
        """Usually made by `Recognizer.stream()`. `decoder`: greedy by default."""
        specification = network.specification
        self._network = network
        self._graph = network.graph
        self._settings = specification.features
        self._features = specification.front_end()
        self._decoder = decoder or GreedyDecoder(specification.alphabet, specification.step_seconds)
        # Outputs still to come that are meant for times before the start.
        self._early = self._graph.warmup + self._graph.lookahead
        self._states = network.initial_states()
        self._clip = WholeClip(network) if self._graph.layers else None
        self._frames = np.zeros(
            (0, self._settings.bins), np.float32
        )  # heard, but less than a chunk
        self._resampler = Resampler(self._settings.sample_rate)
        self._hear(
            np.zeros(self._graph.warmup * self._graph.time_stride * self._settings.hop, np.float32)
        )
        self._samples = 0  # at the model's rate
        self._finished = False

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> None:
        """Next samples, int16 or float in -1..1, [n] or [n, channels], at any `rate` in Hz."""
        if self._finished:
            raise ValueError("this stream is finished: begin a new one")
        self._hear_sound(self._resampler.accept(samples, rate))

    def partial(self) -> str:
        """Text of what has been heard so far; the last word may still grow."""
        return self._decoder.text()

    def finish(self) -> Result:
        """Says the rest (the model's lookahead needs silence after the last sample) and closes the stream."""
        if not self._finished:
            self._hear_sound(self._resampler.finish())
            self._finished = True
            seconds = self._samples / self._settings.sample_rate
            if self._samples:
                self._hear_silence()
            words = self._decoder.words()
            self._result = Result(" ".join(word.text for word in words), words, round(seconds, 3))
        return self._result

    def _hear_sound(self, samples: Samples) -> None:
        self._samples += len(samples)
        self._hear(samples)

    def _hear_silence(self) -> None:
        graph = self._graph
        silence = silence_after(self._samples, self._settings, graph.time_stride, graph.lookahead)
        self._hear(np.zeros(silence, np.float32))
        rest = len(self._frames)
        if rest:  # whole steps by construction, but less than a chunk: fill it and keep the logits of what was heard
            filled = np.zeros((graph.chunk_frames, self._settings.bins), np.float32)
            filled[:rest] = self._frames
            self._run(filled, rest // graph.time_stride)
        if self._clip:
            for logits in self._clip.logits():
                self._say(logits)

    def _hear(self, samples: Samples) -> None:
        for start in range(0, len(samples), BLOCK):
            frames = self._features.accept(samples[start : start + BLOCK])
            frames = np.concatenate([self._frames, frames])
            size = self._graph.chunk_frames
            whole = len(frames) - len(frames) % size
            for first in range(0, whole, size):
                self._run(frames[first : first + size], self._graph.chunk_steps)
            self._frames = frames[whole:]

    def _run(self, frames: npt.NDArray[np.float32], steps: int) -> None:
        if self._clip:
            self._clip.hear(frames, steps)
            return
        logits, self._states = self._network.step(frames, self._states)
        self._say(logits[:steps])

    def _say(self, logits: Logits) -> None:
        early = min(self._early, len(logits))
        self._early -= early
        self._decoder.accept(logits[early:])
