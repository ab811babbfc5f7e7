"""Speech to text: a `Recognizer` is a loaded model with its decoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.arrays import AudioArray
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.build import build_decoder
from ds2edge.runtime.decoding.ctc import Decoder, DecoderFactory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Network
from ds2edge.runtime.phrases.embedded import choose_phrases
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.pretrained import PRETRAINED, model_path
from ds2edge.runtime.stream import Result, Stream
from ds2edge.runtime.utterances import Utterance, UtteranceStream

Audio = AudioFile | str | os.PathLike[str] | npt.NDArray[np.generic]


class Recognizer:
    """A model that is ready to transcribe files, arrays and live sound."""

    def __init__(
        self,
        model: str | os.PathLike[str] = PRETRAINED,
        *,
        language_model: LanguageModel | str | os.PathLike[str] | None = None,
        hotwords: Iterable[str] = (),
        beam: int | None = None,
        phrases: Phrases | str | os.PathLike[str] | None = None,
        decoder: DecoderFactory | None = None,
        threads: int = 1,
    ) -> None:
        """Loads a .tflite file made by `ds2edge convert`.

        `model`: the file, or "pretrained" for the English model that comes with the kit (the
        default). `language_model`: a file made by `ds2edge lm build`, a loaded `LanguageModel`, or
        "pretrained" for English. `hotwords`: words and phrases to expect. `beam`: the number of
        texts that the search keeps. Without these three, decoding is greedy. `phrases`: all that
        may be said, as `Phrases` or the file that `Phrases.load` reads; the three then decode
        their wildcards. By default, the phrases inside the model file, if it has any; "none"
        switches them off. `decoder` replaces all of them: a function that makes a decoder from
        the alphabet and the seconds per step. `threads`: threads of the interpreter.

        InputError if a file cannot be used or the model cannot spell a hot word; TypeError for an
        argument of the wrong type.
        """
        others = language_model is not None or bool(hotwords) or beam is not None
        if decoder is not None and (phrases is not None or others):
            raise InputError(
                "decoder replaces phrases, language_model, hotwords and beam: give one"
            )
        self._free_text = build_decoder(language_model, hotwords, beam) if others else None
        path = model_path(model)
        if decoder is None:
            chosen = choose_phrases(phrases, path)
            if chosen is not None and self._free_text:
                chosen = chosen.with_free_text(self._free_text)
            decoder = chosen or self._free_text or GreedyDecoder
        if threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.network = Network(path, threads)
        self.specification = self.network.specification
        self._decoder = decoder
        self.decoder()  # fails now, not with the first stream, if it cannot serve this model

    @property
    def phrases(self) -> Phrases | None:
        """All that may be said; None for free text.

        Set it, to what `Recognizer` takes, to listen for other phrases in the streams that begin
        from then on. InputError if the model cannot spell them.
        """
        return self._decoder if isinstance(self._decoder, Phrases) else None

    @phrases.setter
    def phrases(self, phrases: Phrases | str | os.PathLike[str] | None) -> None:
        chosen = choose_phrases(phrases, self.network.path)
        if chosen is not None and self._free_text and chosen.has_wildcard:
            chosen = chosen.with_free_text(self._free_text)
        decoder = chosen or self._free_text or GreedyDecoder
        decoder(self.specification.alphabet, self.specification.step_seconds)
        self._decoder = decoder

    def stream(self) -> Stream:
        """A new stream. Streams of one recognizer may be interleaved, from one thread."""
        return Stream(self.network, self.decoder())

    def decoder(self) -> Decoder:
        """A new decoder for the logits of this model."""
        return self._decoder(self.specification.alphabet, self.specification.step_seconds)

    def transcribe(
        self,
        audio: Audio,
        rate: int | None = None,
        *,
        alternatives: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Result:
        """Transcribes a whole recording: a sound file, or samples in memory.

        `audio`: a path or an open `AudioFile`, in any format; or an array [n] or [n, channels] of
        int16, int32 or float in -1..1, whose sample rate in Hz is `rate`. `alternatives`: how many
        of the best texts to return with their scores; in a long recording they differ only near the
        end. `progress` is called with the seconds of each block that was read.

        Memory does not grow with the length of a file, unless the model is bidirectional.

        InputError if the file cannot be read, or for alternatives without a beam search; TypeError
        or InputError for other arguments.
        """
        if alternatives < 0:
            raise InputError(f"alternatives must be at least 0, not {alternatives}")
        decoder = self.decoder()
        if alternatives and not isinstance(decoder, BeamDecoder):
            raise InputError(
                "alternatives need a beam search: set beam, language_model or hotwords"
            )
        source = _open(audio, rate)
        stream = Stream(self.network, decoder)
        for block in source.blocks():
            stream.accept(block, source.rate)
            if progress:
                progress(len(block) / source.rate)
        result = stream.finish()
        if isinstance(decoder, BeamDecoder) and alternatives:
            return replace(result, alternatives=decoder.alternatives(alternatives))
        return result

    def utterances(
        self,
        audio: Audio,
        rate: int | None = None,
        *,
        rules: EndpointRules | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[Utterance]:
        """Yields the utterances of a recording with their times, as they end.

        Suits long files: memory is constant (except with a bidirectional model, which yields all
        utterances at the end). The utterances are those that a `Listener` hears in the same sound.
        `rules`: when an utterance ends. The other arguments and the errors are those of
        `transcribe`.
        """
        source = _open(audio, rate)
        stream = UtteranceStream(self.network, self.decoder(), rules)
        return _utterances(source, stream, progress)


def _utterances(
    source: AudioFile | AudioArray,
    stream: UtteranceStream,
    progress: Callable[[float], object] | None,
) -> Iterator[Utterance]:
    for block in source.blocks():
        yield from stream.accept(block, source.rate)
        if progress:
            progress(len(block) / source.rate)
    yield from stream.finish()


def _open(audio: Audio, rate: int | None) -> AudioFile | AudioArray:
    if isinstance(audio, np.ndarray):
        if rate is None:
            raise InputError("an array needs its sample rate: give rate=16000, for example")
        return AudioArray(audio, rate)
    if not isinstance(audio, (AudioFile, str, os.PathLike)):
        raise TypeError(f"audio must be a path or a numpy array, not {type(audio).__name__}")
    if rate is not None:
        raise InputError("rate is for arrays only: a file states its own sample rate")
    return audio if isinstance(audio, AudioFile) else AudioFile(audio)
