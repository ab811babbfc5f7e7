"""The recordings of several clients, which one thread transcribes in turn with one model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.serve.limits import MAX_IN_A_ROW, MAX_PHRASES
from ds2edge.runtime.utterances import Utterance, UtteranceStream

Result = TypeVar("Result")

# A client's sound is transcribed in blocks of this length, so that the others wait less.
BLOCK_SECONDS = 0.5


class Sessions:
    """Begins a session for each recording.

    The interpreter may be used from one thread only. That thread takes one block of each client in
    turn, because a client waits for its block before it hands in the next.
    """

    def __init__(self, recognizer: Recognizer, rules: EndpointRules) -> None:
        """`rules`: when an utterance ends. InputError for a bidirectional model."""
        recognizer.specification.require_streaming(recognizer.network.path)
        self.model = recognizer.specification
        self._recognizer = recognizer
        self._rules = rules
        self._thread = ThreadPoolExecutor(1, "network")

    async def begin(self, phrases: Phrases | None = None, alternatives: int = 0) -> Session:
        """Begins a recording. `phrases`: all that may be said, instead of the recognizer's.

        `alternatives`: how many texts of an utterance a beam search returns; others return none.
        """
        stream = await self.run(partial(self._stream, phrases, alternatives))
        return Session(self, stream)

    async def phrases(self, texts: Sequence[str]) -> Phrases:
        """Prepares phrases. InputError if they are too many or the model cannot spell them."""
        if len(texts) > MAX_PHRASES:
            raise InputError(f"{len(texts)} phrases: a client may send {MAX_PHRASES} at most")
        return await asyncio.to_thread(self._compile, texts)

    async def replace_phrases(self, path: Path, min_confidence: float | None) -> None:
        """Reads the phrases of the recordings that begin from now on.

        InputError if the file has a fault or the model cannot spell the phrases; the old ones stay.
        """
        await asyncio.to_thread(self._load, path, min_confidence)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Runs `work` in the thread of the network, after what others have handed in before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Ends the thread after the block that it is transcribing."""
        self._thread.shutdown(cancel_futures=True)

    def _stream(self, phrases: Phrases | None, alternatives: int) -> UtteranceStream:
        if phrases is None:
            decoder = self._recognizer.decoder()
        else:
            decoder = phrases(self.model.alphabet, self.model.step_seconds)
        return UtteranceStream(self._recognizer.network, decoder, self._rules, alternatives)

    def _load(self, path: Path, min_confidence: float | None) -> None:
        self._recognizer.phrases = Phrases.load(path, min_confidence)

    def _compile(self, texts: Sequence[str]) -> Phrases:
        phrases = Phrases.of(*texts, in_a_row=min(MAX_IN_A_ROW, MAX_PHRASES // len(texts)))
        phrases(self.model.alphabet, self.model.step_seconds)  # it keeps the graph for the streams
        return phrases


class Session:
    """One recording of a client."""

    def __init__(self, sessions: Sessions, stream: UtteranceStream) -> None:
        self._sessions = sessions
        self._stream = stream

    @property
    def duration(self) -> float:
        """Seconds of sound so far."""
        return self._stream.duration

    async def accept(self, samples: npt.NDArray[np.generic], rate: int) -> list[Utterance]:
        """Takes the next samples, as `UtteranceStream.accept` does. Returns what has ended."""
        utterances: list[Utterance] = []
        size = int(BLOCK_SECONDS * rate)
        for first in range(0, len(samples), size):
            work = partial(self._stream.accept, samples[first : first + size], rate)
            utterances += await self._sessions.run(work)
        return utterances

    async def partial(self) -> str:
        """The text of the open utterance. Its last word may still change."""
        return await self._sessions.run(self._stream.partial)

    async def finish(self) -> list[Utterance]:
        """Ends the recording. Returns the remaining utterances."""
        return await self._sessions.run(self._stream.finish)
