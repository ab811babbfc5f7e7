"""Advice about phrases that a recogniser would often miss or confuse, before it is trained."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ds2edge.runtime.phrases.grammar import SAID, WILDCARD, Grammar
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.words.automaton import Automaton
from ds2edge.train.words.distance import pairs_within
from ds2edge.train.words.near import common_words
from ds2edge.train.words.pronunciation import Pronunciations, dictionary, ipa, pronounce
from ds2edge.train.words.sampling import Sampler, ways
from ds2edge.train.words.sentences import general_speech

# Kinds of advice, most urgent first.
ANYTHING = "anything"
NO_SOUND = "no sound"
SAME_SOUND = "same sound"
TOO_SHORT = "too short"
ALIKE = "alike"
CONTAINED = "contained"
GUESSED = "guessed"
KINDS = (ANYTHING, NO_SOUND, SAME_SOUND, TOO_SHORT, ALIKE, CONTAINED, GUESSED)

FEWEST_PHONES = 4  # of a phrase; "stop" has four
MOST_ALIKE = 0.8  # distance; "fifteen" and "fifty": 0.6, "on" and "off": 0.97
MOST_WAYS = 20  # to say one value
MOST_SENTENCES = 6000
DRAWS_PER_TEMPLATE = 4  # of sentences that differ in their choices alone


BEGINNING, END = "beginning", "end"


@dataclass(frozen=True)
class Advice:
    """What is wrong with one phrase or two, and what to do."""

    kind: str  # one of KINDS
    phrases: tuple[str, ...]
    problem: str  # continues the names of the phrases: "sound the same"
    remedy: str

    def __str__(self) -> str:
        named = " and ".join(f"'{phrase}'" for phrase in self.phrases)
        return f"{named} {self.problem}: {self.remedy}"


def advise(phrases: Phrases, pronunciations: Pronunciations | None = None) -> list[Advice]:
    """Returns advice about phrases, most urgent first; an empty list for good phrases.

    `pronunciations`: by default `dictionary()`. InputError if hibari-tts is not installed.
    """
    adviser = _Adviser(phrases, pronunciations or dictionary())
    found = [
        *adviser.anything(),
        *adviser.words(),
        *adviser.too_short(),
        *adviser.values_alike(),
        *adviser.sentences_alike(),
        *adviser.contained(),
        *adviser.values_contained(),
    ]
    return sorted(found, key=lambda advice: KINDS.index(advice.kind))


class _Adviser:
    def __init__(self, phrases: Phrases, pronunciations: Pronunciations) -> None:
        self._grammar = phrases.grammar
        self._automaton = Automaton(phrases.letters)
        self._pronunciations = pronunciations
        self._meanings: dict[str, Any] = {}

    def anything(self) -> Iterator[Advice]:
        accepted = next(filter(self._automaton.accepts, general_speech()), None)
        if accepted:
            yield Advice(
                ANYTHING,
                (accepted,),
                "is accepted as a phrase, as much other speech would be",
                "put words of your own before or after the wildcard",
            )

    def words(self) -> Iterator[Advice]:
        """Words that cannot be said, and those whose pronunciation is a guess."""
        known = set(common_words(None))
        for word in sorted(self._automaton.words()):
            phones = self._pronunciations.word(word)
            if not phones:
                yield Advice(
                    NO_SOUND, (word,), "has no pronunciation", "spell it with the letters a to z"
                )
            elif self._pronunciations.is_guess(word) and word not in known:
                yield Advice(
                    GUESSED,
                    (word,),
                    f"is in no dictionary and is read as /{ipa(phones)}/",
                    "if that is wrong, spell it as it sounds, in a template below `says:`",
                )

    def too_short(self) -> Iterator[Advice]:
        for text in sorted(self._sentences):
            count = len(pronounce(text, self._pronunciations))
            if 0 < count < FEWEST_PHONES:
                yield Advice(
                    TOO_SHORT,
                    (text,),
                    f"has only {count} sound{'s' if count > 1 else ''}, so other speech and noise "
                    "will be taken for it",
                    "add a word",
                )

    def values_alike(self) -> Iterator[Advice]:
        """Values of one list that sound alike and mean different things."""
        known = set()  # two lists of numbers have the same pairs
        for name, meanings in self._value_meanings():
            for first, second, distance in self._alike(list(meanings)):
                if (first, second) not in known and meanings[first] != meanings[second]:
                    known.add((first, second))
                    yield _alike(first, second, distance, f" in the list '{name}'")

    def sentences_alike(self) -> Iterator[Advice]:
        """Phrases that sound alike, with the same values in their slots, and mean other things."""
        differences = set()
        for first, second, distance in self._alike(self._plain_sentences):
            difference = frozenset(_difference(first.split(), second.split()))
            if difference not in differences and self._meaning(first) != self._meaning(second):
                differences.add(difference)
                yield _alike(first, second, distance, "")

    def contained(self) -> Iterator[Advice]:
        """Phrases with which a phrase of another intent begins or ends."""
        sentences = dict.fromkeys([*self._sentences, *self._plain_sentences])
        longer: dict[tuple[str, str], list[str]] = defaultdict(list)
        for text in sentences:
            words = text.split()
            for size in range(1, len(words)):
                for part, end in ((words[:size], BEGINNING), (words[-size:], END)):
                    shorter = " ".join(part)
                    if shorter in sentences and self._intent(shorter) != self._intent(text):
                        longer[shorter, end].append(text)
        for (shorter, end), others in sorted(longer.items()):
            yield _contained(shorter, end, others, "")

    def values_contained(self) -> Iterator[Advice]:
        """Values of one list with which another one begins. Numbers always do, so they may."""
        for name, meanings in self._value_meanings():
            names = {text for text, means in meanings.items() if isinstance(means, str)}
            for text in sorted(names):
                words = text.split()
                for size in range(1, len(words)):
                    shorter = " ".join(words[:size])
                    if shorter in names and meanings[shorter] != meanings[text]:
                        yield _contained(shorter, BEGINNING, [text], f" in the list '{name}'")

    def _value_meanings(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each list, and what its values mean by how they are said."""
        for name, values in self._grammar.lists.items():
            yield (
                name,
                {
                    text: text if value.means is SAID else value.means
                    for value in values or ()
                    for text in ways(value.said, self._grammar.lists, MOST_WAYS)
                },
            )

    @cached_property
    def _sentences(self) -> list[str]:
        """Sentences with every template and every value, unless there are very many."""
        return _draw(self._grammar, lambda sampler: sampler.size)

    @cached_property
    def _plain_sentences(self) -> list[str]:
        """Sentences in which each list has only its first value."""
        lists = {
            name: WILDCARD if values is WILDCARD else values[:1]
            for name, values in self._grammar.lists.items()
        }
        plain = Grammar(self._grammar.intents, lists)
        return _draw(plain, lambda sampler: DRAWS_PER_TEMPLATE * sampler.size)

    def _alike(self, texts: Sequence[str]) -> list[tuple[str, str, float]]:
        """Pairs of texts that sound alike, and their distances, nearest first."""
        sounds = [pronounce(text, self._pronunciations) for text in texts]
        pairs = zip(*pairs_within(sounds, sounds, MOST_ALIKE), strict=True)
        found = [(texts[i], texts[j], float(d)) for i, j, d in pairs if i < j and sounds[i]]
        return sorted(found, key=lambda pair: pair[2])

    def _meaning(self, text: str) -> Any:
        """Intent and slots of a phrase. A phrase without an intent means itself."""
        if text not in self._meanings:
            intent, slots = self._grammar.match(text) or ("", {})
            self._meanings[text] = (intent, slots) if intent else text
        return self._meanings[text]

    def _intent(self, text: str) -> Any:
        meaning = self._meaning(text)
        return meaning if isinstance(meaning, str) else meaning[0]


def _contained(shorter: str, end: str, longer: Sequence[str], where: str) -> Advice:
    more = f" and of {len(longer) - 1} more" if len(longer) > 1 else ""
    cause = "a pause after it" if end == BEGINNING else "a lost beginning"
    return Advice(
        CONTAINED,
        (shorter,),
        f"is the {end} of '{longer[0]}'{more}{where}, so {cause} changes the meaning",
        "use other words for the shorter one",
    )


def _draw(grammar: Grammar, count: Any) -> list[str]:
    sampler = Sampler(grammar, random.Random(0))
    drawn = (sampler.sentence() for _ in range(min(count(sampler), MOST_SENTENCES)))
    return list(dict.fromkeys(filter(None, drawn)))


def _alike(first: str, second: str, distance: float, where: str) -> Advice:
    if distance == 0:
        problem = f"sound the same{where}"
        return Advice(SAME_SOUND, (first, second), problem, "rename one of them")
    problem = f"sound alike{where}"
    return Advice(ALIKE, (first, second), problem, "use a longer or quite different word for one")


def _difference(first: list[str], second: list[str]) -> tuple[str, str]:
    """What is left of two texts without the words at their beginnings and ends that both have."""
    for _ in range(2):  # the second time from the end
        while first and second and first[0] == second[0]:
            first = first[1:]
            second = second[1:]
        first = first[::-1]
        second = second[::-1]
    return " ".join(first), " ".join(second)
