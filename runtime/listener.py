"""Transcribes live sound: utterance by utterance, for as long as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.phrases.wake import WAKE_CONFIDENCE, Wake, WakeDecoder
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.utterances import Utterance, UtteranceStream


class SoundBlock(Protocol):
    """A piece of live sound."""

    @property
    def samples(self) -> npt.NDArray[np.generic]:
        """[n] or [n, channels], int16, int32 or float in -1..1."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""


class SoundSource(Protocol):
    """What `Listener.listen` needs of a microphone: a context manager that yields blocks."""

    def __enter__(self) -> object:
        """Opens the source."""

    def __exit__(self, *raised: object) -> None:
        """Closes the source."""

    def blocks(self, stop: Event | None = None) -> Iterator[SoundBlock]:
        """Yields the sound until `stop` is set."""


class Listener(UtteranceStream):
    """Cuts live sound into utterances.

    Hand it blocks of samples with `accept`, or let it read a microphone with `listen`. A listener
    serves one recording.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        rules: EndpointRules | None = None,
        *,
        wake: Phrases | str | None = None,
        on_wake: Callable[[Wake], object] | None = None,
    ) -> None:
        """Listeners of one recognizer may be interleaved, from one thread.

        `rules`: when an utterance ends. `wake`: a phrase to wait for, or several as `Phrases` with
        their least confidence. The listener calls `on_wake` when it hears one, and returns the one
        utterance that follows. InputError for a bidirectional model, or if it cannot spell `wake`.
        """
        specification = recognizer.specification
        specification.require_streaming(recognizer.network.path)
        decoder = recognizer.decoder()
        if wake is not None:
            if isinstance(wake, str):
                wake = Phrases.of(wake, min_confidence=WAKE_CONFIDENCE)
            alphabet, step_seconds = specification.alphabet, specification.step_seconds
            decoder = WakeDecoder(decoder, wake, alphabet, step_seconds, on_wake)
        super().__init__(recognizer.network, decoder, rules)

    def listen(self, source: SoundSource, stop: Event | None = None) -> Iterator[Utterance]:
        """Opens a microphone and yields each utterance when it ends.

        Ends after the last utterance when `stop` is set. Leaving the loop closes the microphone.
        """
        with source:
            for block in source.blocks(stop):
                yield from self.accept(block.samples, block.rate)
        yield from self.finish()
