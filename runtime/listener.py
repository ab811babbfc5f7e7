"""Transcribes live sound: utterance by utterance, for as long as it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.endpoint import EndpointRules
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

    def __init__(self, recognizer: Recognizer, rules: EndpointRules | None = None) -> None:
        """Listeners of one recognizer may be interleaved, from one thread.

        `rules`: when an utterance ends. InputError for a bidirectional model.
        """
        recognizer.specification.require_streaming(recognizer.network.path)
        super().__init__(recognizer.network, recognizer.decoder(), rules)

    def listen(self, source: SoundSource, stop: Event | None = None) -> Iterator[Utterance]:
        """Opens a microphone and yields each utterance when it ends.

        Ends after the last utterance when `stop` is set. Leaving the loop closes the microphone.
        """
        with source:
            for block in source.blocks(stop):
                yield from self.accept(block.samples, block.rate)
        yield from self.finish()
