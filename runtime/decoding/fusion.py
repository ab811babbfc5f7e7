"""Shallow fusion: what a text is worth beside its acoustic probability, by a language model and hot words.

Gulcehre et al. 2015 (arXiv 1503.03535): a weighted sum of logarithms, here added word by word (Hannun et al. 2014,
arXiv 1408.2873). Within a word the best that it may become after the words before it is counted (Ortmanns et al. 1997:
look-ahead), so that long words and short ones compete fairly in a narrow beam, and what no known word begins with is
soon given up.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ds2edge.runtime.decoding.hotwords import HotWords, Match
from ds2edge.runtime.decoding.language_model import START, UNKNOWN, LanguageModel

# Symbols of a hot phrase that count before it is complete: enough to keep it in the beam, not enough to drive out all
# other texts if it is not to be.
HOPE = 4
COMPLETIONS = 2**16  # looked up and remembered: the texts of a beam share most of their words


@dataclass(frozen=True)
class Weights:
    """Of the parts of a score, in nats but for the first."""

    language_model: float = 0.4  # factor of its log-probabilities
    word: float = (
        2.0  # for each word: makes up for what the language model takes from texts of many words
    )
    unknown: float = -12.0  # for each word that is neither in the language model nor hot
    hot: float = 1.5  # for each symbol of a hot word in its shortest spelling: a letter, or a piece


class State(NamedTuple):
    """A text as fusion sees it."""

    word: str  # the open one, "" between words
    history: tuple[int, ...]  # the language model's ids of the words before
    settled: float  # score of what is over
    score: float  # and of what the open word, or the open hot phrase, may become
    match: Match


class Fusion:
    """Scores texts as they grow; with neither language model nor hot words, 0."""

    def __init__(
        self,
        language_model: LanguageModel | None = None,
        hotwords: Iterable[str] = (),
        weights: Weights = Weights(),
    ) -> None:
        """`hotwords`: words and phrases, in letters until `spelled_in` says otherwise."""
        self._model, self._weights = language_model, weights
        self.hotwords = HotWords(hotwords)
        if language_model:
            self._best_completion = functools.lru_cache(COMPLETIONS)(language_model.best_completion)
        self._unknown = (
            self._weighted(language_model.log_probability((), UNKNOWN)) if language_model else 0.0
        )
        self.start = State("", (START,), 0.0, 0.0, self.hotwords.start)

    def spelled_in(self, alphabet: Sequence[str]) -> Fusion:
        """The same for a model of these symbols. InputError for a hot word that they cannot spell."""
        fusion = copy.copy(self)
        fusion.hotwords = HotWords(self.hotwords.phrases, alphabet)
        fusion.start = self.start._replace(match=fusion.hotwords.start)
        return fusion

    @property
    def parts(self) -> list[str]:
        """What the score is made of, for reports."""
        weights, parts = self._weights, []
        if self._model is not None:
            parts.append(
                f"language model of {self._model.words} words (weight {weights.language_model:g}, "
                f"word bonus {weights.word:g})"
            )
        if hot := len(self.hotwords.phrases):
            parts.append(f"{hot} hot word{'s' if hot > 1 else ''}")
        return parts

    def letters(self, state: State, letters: str) -> State:
        """The text with more letters of its open word."""
        word, match = state.word + letters, state.match
        if self.hotwords.phrases:
            for end in range(len(state.word) + 1, len(word) + 1):
                match = self.hotwords.letter(match, word[:end])
        hope = self._hope(match)
        if self._model is not None:
            best = self._best_completion(word, state.history)
            if best is None:
                hope += self._unknown + self._penalty(match.open)
            else:
                hope += self._weighted(best)
        return State(word, state.history, state.settled, state.settled + hope, match)

    def end_word(self, state: State) -> State:
        """The text with its open word ended."""
        match, complete = self.hotwords.space(state.match)
        settled, history = state.settled + self._weights.hot * complete, state.history
        if self._model is not None:
            word = self._model.id(state.word)
            settled += self._weighted(self._model.log_probability(history, word))
            if word == UNKNOWN:
                settled += self._penalty(complete or match.open)
            history = (*history, word)[-max(1, self._model.order - 1) :]
        return State("", history, settled, settled + self._hope(match), match)

    def _weighted(self, log_probability: float) -> float:
        return self._weights.language_model * log_probability + self._weights.word

    def _hope(self, match: Match) -> float:
        return self._weights.hot * min(match.open, HOPE)

    def _penalty(self, hot_symbols: float) -> float:
        return 0.0 if hot_symbols else self._weights.unknown
