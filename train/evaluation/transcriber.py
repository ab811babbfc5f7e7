"""Transcribes clips with a .tflite file in the runtime, or with a checkpoint in Keras."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.manifest import Clip
from ds2edge.train.evaluation.batch_decoding import batch_logits
from ds2edge.train.pipeline.padding import batch_length, pad_batch, padding_of

if TYPE_CHECKING:
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

BATCH_SECONDS = 120.0  # of padded audio, for Keras; a longer clip is a batch of its own


@dataclass(frozen=True)
class Sound:
    """A clip, perhaps with noise, that a model is to transcribe."""

    number: int  # of the clip
    clip: Clip
    reference: str  # normalised text of the clip
    snr_db: float | None  # None: without added noise
    samples: Samples  # float32 [n], n > 0, at the model's rate


class Transcriber(Protocol):
    """A model as an evaluation uses it."""

    name: str  # of the recipe
    mode: str  # int8, float32 and so on, or keras
    engine: str  # interpreter and decoder
    rate: int  # sample rate in Hz
    # Seconds of computing so far. None for a model that transcribes clips in batches.
    compute_seconds: float | None

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """Each sound with its transcript, in order."""


def open_transcriber(
    path: Path, threads: int | None, decoder: DecoderFactory = GreedyDecoder
) -> Transcriber:
    """Opens a .tflite file, the best epoch of a run's folder, or a checkpoint in such a folder.

    `threads` are the interpreter's; None is one. InputError if there is no such model, or if
    threads are given for a model in Keras.
    """
    if not path.exists():
        raise InputError(f"{path}: no such model")
    if not path.is_dir() and path.suffix != ".keras":
        return StreamTranscriber(path, threads or 1, decoder)
    if threads:
        raise InputError(
            f"{path}: --threads is only for .tflite files: leave it out for a model in Keras"
        )
    from ds2edge.train.run import Run

    run = Run.open(path if path.is_dir() else path.parent)
    model = run.best_model() if path.is_dir() else run.load(path)
    return KerasTranscriber(model, run.specification, decoder)


class StreamTranscriber:
    """The runtime, as on a device: one clip after another, chunk by chunk."""

    def __init__(self, path: Path, threads: int, decoder: DecoderFactory) -> None:
        """InputError if `path` is not a file of `ds2edge convert`."""
        self._recognizer = Recognizer(path, threads=threads, decoder=decoder)
        network = self._recognizer.network
        self.name = network.specification.name
        self.mode = network.graph.mode
        threads_text = f"{threads} thread{'s' if threads > 1 else ''}"
        decoding = self._recognizer.decoder().description
        self.engine = f"{network.interpreter}, {threads_text}; {decoding}"
        self.rate = network.specification.features.sample_rate
        self.compute_seconds: float | None = 0.0

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """Each sound with its transcript, in order."""
        for sound in sounds:
            started = time.perf_counter()
            stream = self._recognizer.stream()
            stream.accept(sound.samples, self.rate)
            text = stream.finish().text
            spent = time.perf_counter() - started
            self.compute_seconds = (self.compute_seconds or 0.0) + spent
            yield sound, text


class KerasTranscriber:
    """The whole-sequence model, in batches. Only this class imports keras: .tflite needs none."""

    compute_seconds: float | None = None

    def __init__(
        self,
        model: DeepSpeech2,
        specification: Specification,
        decoder: DecoderFactory = GreedyDecoder,
    ) -> None:
        """`specification` is that of the model's run."""
        import keras

        self._model = model
        self._features = specification.front_end()
        self._padding = padding_of(model.settings)
        step_seconds = model.settings.step_seconds(specification.features)
        self._decoder = functools.partial(decoder, specification.alphabet, step_seconds)
        self.name = specification.name
        self.mode = "keras"
        self.rate = specification.features.sample_rate
        decoding = self._decoder().description
        self.engine = f"keras {keras.__version__} on {keras.backend.backend()}; {decoding}"

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """Each sound with its transcript, in order. Neighbours should have similar lengths."""
        for sound, logits in self.logits(sounds):
            yield sound, self.decode(logits)

    def decode(self, logits: npt.NDArray[np.float32]) -> str:
        """The text of one sound's logits [steps, symbols]."""
        decoder = self._decoder()
        decoder.accept(logits)
        return decoder.text()

    def logits(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, npt.NDArray[np.float32]]]:
        """Each sound with its logits [steps, symbols]; the order is that of `transcribe`."""
        batch: list[Sound] = []
        for sound in sounds:
            longest = max(len(other.samples) for other in [*batch, sound]) / self.rate
            if batch and (len(batch) + 1) * longest > BATCH_SECONDS:
                yield from zip(batch, self._batch_logits(batch), strict=True)
                batch = []
            batch.append(sound)
        if batch:
            yield from zip(batch, self._batch_logits(batch), strict=True)

    def _batch_logits(self, batch: list[Sound]) -> Iterator[npt.NDArray[np.float32]]:
        frames = [self._features.padded(sound.samples, self._padding) for sound in batch]
        length = batch_length(max(map(len, frames)), self._padding.time_stride)
        return batch_logits(self._model, pad_batch(frames, length))
