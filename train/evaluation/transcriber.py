"""A trained model that writes down what it hears: a .tflite file through the runtime, or a checkpoint in Keras."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ds2edge.runtime.decoding.ctc import DecoderFactory, GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.manifest import Clip
from ds2edge.train.pipeline.feature_cache import padding_of

if TYPE_CHECKING:
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

BATCH_SECONDS = 120.0  # of padded audio, for Keras; a longer clip is a batch of its own
PADDED_STEPS = 16  # lengths are padded to a multiple of this, so that few shapes are traced


@dataclass(frozen=True)
class Sound:
    """A clip as the model is to hear it."""

    number: int  # of the clip
    clip: Clip
    reference: str  # its text, normalised
    snr_db: float | None  # None: as it was recorded
    samples: Samples  # float32 [n], n > 0, at the model's rate


class Transcriber(Protocol):
    """What an evaluation needs of a model."""

    name: str  # of the recipe
    mode: str  # int8, float32 ... or keras
    engine: str  # and how it decodes
    rate: int  # Hz
    spent: float | None  # seconds of computing so far; None where clips are not computed one by one

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """Every sound with its text, in order."""


def open_transcriber(
    path: Path, threads: int | None, decoder: DecoderFactory = GreedyDecoder
) -> Transcriber:
    """A .tflite file, the best epoch of a run's folder, or a checkpoint inside one.

    `threads` of the interpreter. InputError if there is no such model, and for threads with a model in Keras.
    """
    if not path.exists():
        raise InputError(f"{path}: no such model")
    if not path.is_dir() and path.suffix != ".keras":
        return StreamTranscriber(path, threads or 1, decoder)
    if threads:
        raise InputError(
            f"{path}: --threads is for .tflite files; Keras takes the threads that there are"
        )
    from ds2edge.train.run import Run

    run = Run.open(path if path.is_dir() else path.parent)
    return KerasTranscriber(
        run.best_model() if path.is_dir() else run.load(path), run.specification, decoder
    )


class StreamTranscriber:
    """The runtime, as on a device: one clip after the other, chunk by chunk."""

    def __init__(self, path: Path, threads: int, decoder: DecoderFactory) -> None:
        """InputError for anything but a file of `ds2edge convert`."""
        self._recognizer = Recognizer(path, decoder=decoder, threads=threads)
        network = self._recognizer.network
        self.name, self.mode = network.specification.name, network.graph.mode
        counted = f"{threads} thread{'s' if threads > 1 else ''}"
        self.engine = f"{network.interpreter}, {counted}; {self._recognizer.decoder().description}"
        self.rate = network.specification.features.sample_rate
        self.spent: float | None = 0.0

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """As of a Transcriber."""
        for sound in sounds:
            started = time.perf_counter()
            stream = self._recognizer.stream()
            stream.accept(sound.samples, self.rate)
            text = stream.finish().text
            self.spent = (self.spent or 0.0) + time.perf_counter() - started
            yield sound, text


class KerasTranscriber:
    """The whole-sequence model, in batches. keras is imported in here alone: a .tflite file does without."""

    spent: float | None = None

    def __init__(
        self,
        model: DeepSpeech2,
        specification: Specification,
        decoder: DecoderFactory = GreedyDecoder,
    ) -> None:
        """`specification` of the run that the model is of."""
        import keras

        self._model, self._padding = model, padding_of(model.settings)
        step_seconds = (
            model.settings.time_stride
            * specification.features.hop
            / specification.features.sample_rate
        )
        self._decoder = functools.partial(decoder, specification.alphabet, step_seconds)
        settings = specification.features
        self._features = specification.front_end()
        self.name, self.mode, self.rate = specification.name, "keras", settings.sample_rate
        decoding = self._decoder().description
        self.engine = f"keras {keras.__version__} on {keras.backend.backend()}; {decoding}"

    def transcribe(self, sounds: Iterable[Sound]) -> Iterator[tuple[Sound, str]]:
        """As of a Transcriber; clips of about equal length should come one after the other."""
        batch: list[Sound] = []
        for sound in sounds:
            longest = max(len(other.samples) for other in [*batch, sound]) / self.rate
            if batch and (len(batch) + 1) * longest > BATCH_SECONDS:
                yield from zip(batch, self._texts(batch), strict=True)
                batch = []
            batch.append(sound)
        if batch:
            yield from zip(batch, self._texts(batch), strict=True)

    def _texts(self, batch: list[Sound]) -> Iterator[str]:
        import keras

        frames = [self._features.padded(sound.samples, self._padding) for sound in batch]
        quantum = PADDED_STEPS * self._model.settings.time_stride
        longest = -(-max(map(len, frames)) // quantum) * quantum
        inputs: dict[str, Any] = {
            "features": np.stack([np.pad(f, ((0, longest - len(f)), (0, 0))) for f in frames]),
            "lengths": np.array([len(f) for f in frames], np.int32),
        }
        logits = np.asarray(
            keras.ops.convert_to_numpy(self._model.predict_on_batch(inputs)), np.float32
        )
        for row, length in zip(logits, self._model.output_lengths(inputs["lengths"]), strict=True):
            decoder = self._decoder()
            decoder.accept(row[:length])
            yield decoder.text()
