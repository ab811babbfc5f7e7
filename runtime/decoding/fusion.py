"""Shallow fusion: adds a language model and hot words to the acoustic score of a text.

The score is a weighted sum of logarithms (Gulcehre et al. 2015, arXiv 1503.03535), added word by
word (Hannun et al. 2014, arXiv 1408.2873). An open word counts as the best word that it may become
(look-ahead, Ortmanns et al. 1997). So long and short words compete fairly in a narrow beam, and
letters that begin no known word are soon dropped.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ds2edge.runtime.decoding.hotwords import HotWords, Match
from ds2edge.runtime.decoding.language_model import START, UNKNOWN, LanguageModel

# Symbols of an incomplete hot word that count at most. This keeps the hot word in the beam without
# crowding out others if it is never completed.
HOTWORD_PREFIX_SYMBOLS = 4
# Size of the look-ahead cache. The prefixes of a beam share most of their words.
COMPLETIONS = 2**16


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of a score: a factor for the language model, the others in nats."""

    # Factor of the language model's log probabilities.
    language_model: float = 0.7
    # Added for each word, since the language model prefers texts of few words.
    word_bonus: float = 2.0
    # Added for each word that is neither in the language model nor hot.
    unknown_word: float = -12.0
    # Added for each symbol (letter or piece) of a hot word in its shortest spelling.
    hotword: float = 1.5
    # Taken off for each blank, since a network that was trained with CTC prefers it to a symbol of
    # which it is not sure.
    blank_penalty: float = 1.25


class State(NamedTuple):
    """A text as fusion sees it."""

    open_word: str  # "" between words
    history: tuple[int, ...]  # ids of the words before, as many as the language model uses
    finished_score: float  # of the finished words
    score: float  # the same plus what the open word, or an open hot phrase, may become
    match: Match  # position in the hot words


class Fusion:
    """Scores texts as they grow. Without a language model and hot words every score is 0."""

    def __init__(
        self,
        language_model: LanguageModel | None = None,
        hotwords: Iterable[str] = (),
        weights: Weights = Weights(),
    ) -> None:
        """`hotwords`: words and phrases, counted in letters until `spelled_in` is called."""
        self._model = language_model
        self._weights = weights
        self.hotwords = HotWords(hotwords)
        self._unknown = 0.0
        if language_model:
            self._best_completion = functools.lru_cache(COMPLETIONS)(language_model.best_completion)
            self._unknown = self._weighted(language_model.log_probability((), UNKNOWN))
        self.start = State("", (START,), 0.0, 0.0, self.hotwords.start)

    def spelled_in(self, alphabet: Sequence[str]) -> Fusion:
        """The same fusion for a network with this alphabet.

        InputError if the alphabet cannot spell a hot word.
        """
        fusion = copy.copy(self)
        fusion.hotwords = HotWords(self.hotwords.phrases, alphabet)
        fusion.start = self.start._replace(match=fusion.hotwords.start)
        return fusion

    @property
    def blank_factor(self) -> float:
        """The factor of a blank's probability: 1 without a language model and hot words."""
        if self._model is None and not self.hotwords.phrases:
            return 1.0
        return math.exp(-self._weights.blank_penalty)

    @property
    def descriptions(self) -> list[str]:
        """One description of each part of the score, for reports."""
        descriptions = []
        if self._model is not None:
            descriptions.append(
                f"language model of {self._model.word_count} words "
                f"(weight {self._weights.language_model:g}, "
                f"word bonus {self._weights.word_bonus:g})"
            )
        if count := len(self.hotwords.phrases):
            descriptions.append(f"{count} hot word{'s' if count > 1 else ''}")
        return descriptions

    def add_letters(self, state: State, letters: str) -> State:
        """The state after more letters of the open word."""
        word = state.open_word + letters
        match = state.match
        if self.hotwords.phrases:
            for end in range(len(state.open_word) + 1, len(word) + 1):
                match = self.hotwords.add_letter(match, word[:end])
        expected = self._hotword_advance(match)
        if self._model is not None:
            best = self._best_completion(word, state.history)
            if best is None:
                expected += self._unknown + self._unknown_word(match.pending)
            else:
                expected += self._weighted(best)
        score = state.finished_score + expected
        return State(word, state.history, state.finished_score, score, match)

    def end_word(self, state: State) -> State:
        """The state after the end of the open word."""
        match, completed = self.hotwords.end_word(state.match)
        score = state.finished_score + self._weights.hotword * completed
        history = state.history
        if self._model is not None:
            word = self._model.id(state.open_word)
            score += self._weighted(self._model.log_probability(history, word))
            if word == UNKNOWN:
                score += self._unknown_word(completed or match.pending)
            history = (*history, word)[-max(1, self._model.order - 1) :]
        return State("", history, score, score + self._hotword_advance(match), match)

    def _weighted(self, log_probability: float) -> float:
        return self._weights.language_model * log_probability + self._weights.word_bonus

    def _hotword_advance(self, match: Match) -> float:
        """What a hot word counts before it is complete."""
        return self._weights.hotword * min(match.pending, HOTWORD_PREFIX_SYMBOLS)

    def _unknown_word(self, hotword_symbols: float) -> float:
        return 0.0 if hotword_symbols else self._weights.unknown_word
