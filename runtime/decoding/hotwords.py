"""Words and phrases to expect: which of them the text so far is in the midst of, letter by letter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from ds2edge.runtime.errors import InputError


@dataclass
class Place:
    """In the phrases, after some of their letters."""

    symbols: float = 0  # that the shortest spelling of a phrase has needed to come here
    complete: float = 0  # the same, where a phrase ends
    longer: dict[str, Place] = field(default_factory=dict)  # by the next letter


class Match(NamedTuple):
    """Where in the phrases a text is."""

    place: Place | None  # None: the open word is not theirs
    letters: int  # that match so far, spaces counted
    counted: float  # symbols of a phrase that is complete, and begins a longer one

    @property
    def open(self) -> float:
        """Symbols that match so far of a phrase that is not complete."""
        return self.place.symbols - self.counted if self.place else 0


NO_MATCH = Match(None, 0, 0)


class HotWords:
    """A trie of phrases, in which a text is looked up as it grows."""

    def __init__(self, phrases: Iterable[str] = (), alphabet: Sequence[str] = ()) -> None:
        """Phrases of letters and single spaces; `alphabet`: the model's, letters by default.

        InputError for a phrase that the alphabet cannot spell.
        """
        self.phrases = list(phrases)
        self._alphabet = alphabet or sorted(set("".join(self.phrases)))
        self._wanted: dict[int, list[int]] = {}
        self._root = Place()
        for phrase in self.phrases:
            place = self._root
            for letter, symbols in zip(
                phrase, _symbols_needed(phrase, self._alphabet), strict=True
            ):
                place = place.longer.setdefault(letter, Place())
                place.symbols = max(place.symbols, symbols)
            place.complete = symbols
        self.start = Match(self._root, 0, 0)

    def letter(self, match: Match, word: str) -> Match:
        """After another letter; `word` is the open word with it."""
        if match.place is None:
            return NO_MATCH
        longer = match.place.longer.get(word[-1])
        if longer is not None:
            return Match(longer, match.letters + 1, match.counted)
        if match.letters < len(word):
            return NO_MATCH
        # A phrase that began in an earlier word fails: this word may begin one itself.
        match = self.start
        for end in range(1, len(word) + 1):
            match = self.letter(match, word[:end])
        return match

    def space(self, match: Match) -> tuple[Match, float]:
        """After a word is over: the match, and the symbols of the phrase that this completed, 0 if none."""
        if match.place is None:
            return self.start, 0
        complete = max(0, match.place.complete - match.counted)
        longer = match.place.longer.get(" ")
        if longer is None:
            return self.start, complete
        return Match(longer, match.letters + 1, match.counted + complete), complete

    def wanted(self, match: Match) -> list[int]:
        """Indexes of the symbols with which a phrase goes on, begins or completes itself."""
        wanted = self._wanted.get(id(match.place))
        if wanted is None:
            wanted = [
                index
                for index, symbol in enumerate(self._alphabet)
                if self._leads_on(match.place, symbol)
            ]
            self._wanted[id(match.place)] = wanted
        return wanted

    def _leads_on(self, place: Place | None, symbol: str) -> bool:
        places = [place] if place and symbol else []
        for number, letter in enumerate(symbol):
            if letter == " " and number and any(place.complete for place in places):
                return True
            places = [place.longer[letter] for place in places if letter in place.longer]
            if letter == " ":
                places.append(self._root)
        return any(place is not self._root for place in places)


def _symbols_needed(phrase: str, alphabet: Sequence[str]) -> list[float]:
    """How many symbols it takes to say the first letters of a phrase, and perhaps more, for each number of letters."""
    known = "".join(sorted(set("".join(alphabet))))
    for letter in phrase:
        if letter not in known:
            raise InputError(f"hot word {phrase!r}: this model has no {letter!r}, only {known!r}")
    symbols, longest = set(alphabet), max(map(len, alphabet))
    text = f" {phrase} "
    needed = [0.0, 0.0]  # the space before counts no more than the one after
    for end in range(2, len(text) + 1):
        starts = [
            start for start in range(max(0, end - longest), end) if text[start:end] in symbols
        ]
        needed.append(min((needed[start] + 1 for start in starts), default=math.inf))
    needed = list(accumulate(reversed(needed), min))[::-1]
    if needed[-2] == math.inf:
        raise InputError(f"hot word {phrase!r}: this model's symbols cannot spell it")
    return needed[2:-1]
