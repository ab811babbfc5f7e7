"""A wake phrase: nothing is decoded until it is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import Decoder, Meaning, Word
from ds2edge.runtime.phrases.decoder import PhraseDecoder, Tokens
from ds2edge.runtime.phrases.phrases import Phrases

WAKE_CONFIDENCE = 0.45


@dataclass(frozen=True)
class Wake:
    """A wake phrase that was heard. Times are in seconds from the start of the stream."""

    text: str
    start: float
    end: float
    confidence: float


class Spotter(PhraseDecoder):
    """Finds phrases anywhere in other speech.

    A phrase may begin at every step: free text before it scores 0. A phrase is heard one step
    after its confidence is highest.
    """

    symbol_bonus = 0.0
    beam = 60.0  # the graph is small
    heard: list[Word]  # the words of a phrase that ended in the last step
    _candidate: list[Word]  # a phrase that may have ended, if its confidence rises no more

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Takes one step of logits, float [1, symbols]. Fills `heard`."""
        previous = self._candidate
        super().accept(logits)
        self.heard = []
        self._candidate = words = self.final_words()
        if previous and (not words or words[0].confidence <= previous[0].confidence):
            self._begin()
            self.heard = previous

    def _begin(self) -> None:
        super()._begin()
        self._candidate = []
        self.heard = []

    def _step(self, scores: npt.NDArray[np.float32]) -> None:
        super()._step(scores)
        places, before, traces = self._blank
        other = places != 0
        self._blank = Tokens(
            np.concatenate([[0], places[other]]),
            np.concatenate([np.zeros(1, np.float32), before[other]]),
            np.concatenate([[-1], traces[other]]),
        )


class WakeDecoder(Decoder):
    """Another decoder that is idle until a wake phrase is heard.

    It is idle again when the words of the utterance are taken.
    """

    def __init__(
        self,
        decoder: Decoder,
        phrases: Phrases,
        alphabet: Sequence[str],
        step_seconds: float,
        on_wake: Callable[[Wake], object] | None = None,
    ) -> None:
        """Wakes `decoder` after one of `phrases`, and calls `on_wake`.

        InputError if the alphabet lacks a letter.
        """
        super().__init__(alphabet, step_seconds)
        graph = phrases.graph(alphabet)
        self._decoder = decoder
        self._on_wake = on_wake
        self._spotter = Spotter(
            graph, alphabet, step_seconds, phrases.min_confidence, phrases.meaning
        )
        self._awake_since: float | None = None  # seconds

    @property
    def description(self) -> str:
        """The method and its settings, for reports."""
        return f"wake phrase, then {self._decoder.description}"

    @property
    def blank_seconds(self) -> float:
        """Seconds since the last letter or the wake phrase."""
        if self._awake_since is None:
            return self.seconds
        return min(self._decoder.blank_seconds, self.seconds - self._awake_since)

    @property
    def empty(self) -> bool:
        """True if there is no word after the wake phrase."""
        return self._awake_since is None or self._decoder.empty

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Decodes the next logits, float32 [steps, symbols]."""
        for step in range(len(logits)):
            row = logits[step : step + 1]
            self._steps += 1
            if self._awake_since is not None:
                self._spotter.skip(1)
                self._decoder.accept(row)
            else:
                self._listen(row)

    def meaning(self, text: str) -> Meaning | None:
        """What a final text means."""
        return self._decoder.meaning(text)

    def words(self) -> list[Word]:
        """All words since the wake phrase, including the open one."""
        return self._decoder.words()

    def final_words(self) -> list[Word]:
        """The words at the end of the stream."""
        return self._decoder.final_words()

    def take(self, open_word: bool = True) -> list[Word]:
        """Returns the words and is idle again."""
        if self._awake_since is None:
            return []
        self._awake_since = None
        return self._decoder.take()

    def _listen(self, row: npt.NDArray[np.float32]) -> None:
        self._decoder.skip(1)
        self._spotter.accept(row)
        words = self._spotter.heard
        if words:
            self._awake_since = self.seconds
            text = " ".join(word.text for word in words)
            if self._on_wake:
                self._on_wake(Wake(text, words[0].start, words[-1].end, words[0].confidence))
