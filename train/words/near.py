"""Near misses: texts that sound much like a phrase and are none."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence

import numpy as np

from ds2edge.runtime.decoding.language_model import SPECIAL, LanguageModel
from ds2edge.runtime.pretrained import LANGUAGE_MODEL
from ds2edge.train.words.automaton import Automaton
from ds2edge.train.words.distance import pairs_within
from ds2edge.train.words.pronunciation import Pronunciations, pronounce

COMMON_WORDS = 20_000  # that may replace a word
FILLERS = 200  # the most common of them, which may be inserted
# Shares of the ways to change a phrase.
REPLACE, REPLACE_TWO, INSERT, DELETE = "replace", "replace two", "insert", "delete"
CHANGES = {REPLACE: 0.5, REPLACE_TWO: 0.2, INSERT: 0.15, DELETE: 0.15}
# A word may be replaced by others at these distances: nearer ones sound the same.
LEAST_DISTANCE = 0.15
MOST_DISTANCE = 1.0
MOST_DISTANCE_PER_PHONE = 0.3  # of long words that have too few within MOST_DISTANCE
CHOICES = 20  # the nearest words, of which one is drawn
TRIES = 20  # until a changed phrase is no phrase


@functools.cache
def common_words(count: int | None = COMMON_WORDS) -> tuple[str, ...]:
    """The most common English words of the bundled language model, most common first.

    None: all of them.
    """
    model = LanguageModel.load(LANGUAGE_MODEL)
    first = model.levels[0]
    order = np.argsort(-first.log_probability, kind="stable")
    words = (model.vocabulary[first.words[i]] for i in order)
    return tuple([word for word in words if word not in SPECIAL][:count])


class NearMisses:
    """Changes words of phrases into words that sound alike, and adds and removes words."""

    def __init__(
        self,
        automaton: Automaton,
        pronunciations: Pronunciations,
        words: Sequence[str],
    ) -> None:
        """`words`: those to change a phrase with, most common first."""
        self._automaton = automaton
        self._pronunciations = pronunciations
        own = {pronunciations.word(word) for word in automaton.words()}
        # A word that sounds like one of the grammar would make another spelling of a phrase.
        self._words = [
            word
            for word in words
            if not pronunciations.is_guess(word) and pronunciations.word(word) not in {"", *own}
        ]
        self._phones = [pronunciations.word(word) for word in self._words]
        self._near: dict[str, list[str]] = {}

    def of(
        self, phrase: str, rng: random.Random, wanted: Callable[[str], bool] = bool
    ) -> str | None:
        """Returns a near miss of a phrase for which `wanted` is true. None if none was found.

        It is no phrase of the grammar, and it sounds different from `phrase`.
        """
        sound = pronounce(phrase, self._pronunciations)
        for _ in range(TRIES):
            (change,) = rng.choices(list(CHANGES), list(CHANGES.values()))
            text = " ".join(self._change(change, phrase.split(), rng))
            if (
                text
                and wanted(text)
                and pronounce(text, self._pronunciations) != sound
                and not self._automaton.accepts(text)
            ):
                return text
        return None

    def near(self, word: str) -> list[str]:
        """Returns the words that sound most like a word, the nearest first."""
        if word not in self._near:
            phones = self._pronunciations.word(word)
            nearest: list[str] = []
            for most in (MOST_DISTANCE, MOST_DISTANCE_PER_PHONE * len(phones)):
                if len(nearest) < CHOICES:
                    nearest = self._within(phones, most)
            self._near[word] = nearest[:CHOICES]
        return self._near[word]

    def _within(self, phones: str, most: float) -> list[str]:
        _, found, distances = pairs_within([phones], self._phones, most)
        order = np.argsort(distances, kind="stable")
        return [self._words[found[i]] for i in order if distances[i] >= LEAST_DISTANCE]

    def _change(self, change: str, words: list[str], rng: random.Random) -> list[str]:
        place = rng.randrange(len(words))
        if change == DELETE:
            return words[:place] + words[place + 1 :]
        if change == INSERT and self._words:
            place = rng.randrange(len(words) + 1)
            return [*words[:place], rng.choice(self._words[:FILLERS]), *words[place:]]
        for _ in range(2 if change == REPLACE_TWO else 1):
            near = self.near(words[place])
            if near:
                words = [*words[:place], rng.choice(near), *words[place + 1 :]]
            place = rng.randrange(len(words))
        return words
