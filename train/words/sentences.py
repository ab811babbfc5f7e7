"""The sentences that a recogniser of one's own words is trained on and measured with.

| kind | what it is | share in training | held out |
|---|---|---|---|
| phrase | a whole phrase | 50 % | 40 % |
| part | some words in a row of a phrase, which are no phrase | 10 % | 10 % |
| carrier | a phrase inside a sentence | 10 % | 10 % |
| near | a near miss: it sounds much like a phrase | 15 % | 20 % |
| other | general speech | 15 % | 20 % |

Only a phrase is to be accepted. What a grammar has none of, such as parts of phrases of one word,
is made up for by phrases. A word that sounds like a word of the phrases is spelled like it ("for"
becomes "four" among digits), so that a sound has one spelling.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.data.text import normalise, read_sentences
from ds2edge.train.synthesis.line import Line
from ds2edge.train.words.automaton import Automaton
from ds2edge.train.words.near import NearMisses, common_words
from ds2edge.train.words.pronunciation import dictionary
from ds2edge.train.words.sampling import Sampler

# From prompts of Common Voice, texts of LJSpeech, speeches of US presidents and old novels.
GENERAL_SPEECH = Path(__file__).with_name("sentences.txt")
GENERAL_SPEECH_LICENCE = "sentences of general speech: CC0 and public domain"
PHRASE, PART, CARRIER, NEAR, OTHER = KINDS = ("phrase", "part", "carrier", "near", "other")
TRAINING_SHARES = {PART: 0.1, CARRIER: 0.1, NEAR: 0.15, OTHER: 0.15}  # the rest: phrases
HELD_OUT_SHARES = {PART: 0.1, CARRIER: 0.1, NEAR: 0.2, OTHER: 0.2}
TRAIN, DEV, TEST = "train", "dev", "test"
MOST_AROUND = 5  # words of a carrier sentence on either side of the phrase
MOST_WILD = 6  # words that fill a wildcard
TRIES = 50


def training_lines(
    phrases: Phrases, count: int, seed: int, other: Sequence[str] | None = None
) -> list[Line]:
    """Returns `count` sentences to train with, in random order, the same for the same arguments.

    `other`: sentences of general speech; by default 3,000 that the kit has. InputError if no
    phrase can be written with the letters of a model, or if `other` has too few sentences.
    """
    return _Lines(phrases, seed, other, TRAIN).all(count, TRAINING_SHARES)


def held_out_lines(
    phrases: Phrases,
    count: int,
    seed: int,
    other: Sequence[str] | None = None,
    split: str = TEST,
) -> list[Line]:
    """Returns `count` sentences to measure with, of the split "dev" or "test".

    Sentences of general speech and near misses are in one split only. The rest is as in
    `training_lines`.
    """
    return _Lines(phrases, seed, other, split).all(count, HELD_OUT_SHARES)


def enough_lines(phrases: Phrases) -> int:
    """The least `count` with which training has every template and every value of a list."""
    size = Sampler(phrases.grammar, random.Random(0)).size
    return round(size / (1 - sum(TRAINING_SHARES.values())) + 0.5)


def split_of(text: str) -> str:
    """The split of a sentence that is no phrase: a tenth each are dev and test."""
    return {0: DEV, 1: TEST}.get(zlib.crc32(text.encode()) % 10, TRAIN)


def general_speech(other: Sequence[str] | None = None) -> list[str]:
    """The sentences `other`, normalised; by default those that the kit has."""
    if other is None:
        return list(read_sentences(GENERAL_SPEECH))
    return [text for sentence in other if (text := normalise(sentence).text)]


class _Lines:
    """Draws sentences of one split."""

    def __init__(
        self, phrases: Phrases, seed: int, other: Sequence[str] | None, split: str
    ) -> None:
        self._automaton = Automaton(phrases.letters)
        self._pronunciations = dictionary()
        self._own_words = self._automaton.words()
        self._spellings = {
            sound: word
            for word in sorted(self._own_words)
            if (sound := self._pronunciations.word(word))
        }
        self._split = split
        self._rng = random.Random(f"{split} {seed}")  # a tuple's hash differs from run to run
        self._other = [text for text in general_speech(other) if split_of(text) == split]
        if not self._other:
            raise InputError(
                f"general speech: none of its sentences is in the split '{split}', which has a "
                "tenth of them: give at least 100"
            )
        wild_words = partial(self._some_words, MOST_WILD)
        self._phrases = Sampler(phrases.grammar, self._rng, wild_words)
        # Those that parts, carriers and near misses are made of, so that whole phrases stay even.
        self._material = Sampler(phrases.grammar, self._rng, wild_words)
        self._near = NearMisses(self._automaton, self._pronunciations, common_words())

    def all(self, count: int, shares: dict[str, float]) -> list[Line]:
        """Draws `count` lines: of each kind its share, and phrases."""
        draw: dict[str, Callable[[], str | None]] = {
            PART: self._part,
            CARRIER: self._carrier,
            NEAR: self._near_miss,
            OTHER: self._sentence,
        }
        lines = [
            Line(text, kind, self._split)
            for kind, share in shares.items()
            for text in self._several(draw[kind], round(share * count))
        ]
        lines += [
            Line(self._phrase(self._phrases), PHRASE, self._split)
            for _ in range(count - len(lines))
        ]
        self._rng.shuffle(lines)
        return lines

    def _several(self, draw: Callable[[], str | None], count: int) -> list[str]:
        """Draws texts that are no phrases. Fewer than `count` if they are hard to find."""
        found: list[str] = []
        failures = 0
        while len(found) < count and failures < TRIES:
            text = draw()
            if text and not self._automaton.accepts(text):
                found.append(text)
                failures = 0
            else:
                failures += 1
        return found

    def _phrase(self, sampler: Sampler) -> str:
        for _ in range(TRIES):
            text = normalise(sampler.sentence() or "").text
            if self._automaton.accepts(text):
                return text
        raise InputError("the phrases cannot be written with the letters a to z: spell them so")

    def _part(self) -> str | None:
        words = self._phrase(self._material).split()
        if len(words) < 2:
            return None
        size = self._rng.randrange(1, len(words))
        first = self._rng.randrange(len(words) - size + 1)
        return " ".join(words[first : first + size])

    def _carrier(self) -> str:
        before, after = (self._some_words(MOST_AROUND) for _ in range(2))
        return f"{before} {self._phrase(self._material)} {after}"

    def _near_miss(self) -> str | None:
        return self._near.of(
            self._phrase(self._material), self._rng, lambda text: split_of(text) == self._split
        )

    def _sentence(self) -> str:
        return " ".join(map(self._spelled, self._rng.choice(self._other).split()))

    def _spelled(self, word: str) -> str:
        """The word, spelled like a word of the phrases that sounds the same."""
        if word in self._own_words:
            return word
        return self._spellings.get(self._pronunciations.word(word), word)

    def _some_words(self, most: int) -> str:
        """Returns up to `most` words in a row of a sentence of general speech."""
        words = self._sentence().split()
        size = self._rng.randint(1, min(most, len(words)))
        first = self._rng.randrange(len(words) - size + 1)
        return " ".join(words[first : first + size])
