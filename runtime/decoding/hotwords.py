"""Hot words: words and phrases to expect, matched letter by letter as a text grows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from ds2edge.runtime.errors import InputError


@dataclass
class Node:
    """A node of the trie of phrases: some first letters of one or more phrases."""

    # Symbols needed to spell these letters, in the shortest spelling of a phrase.
    symbols: float = 0
    # The same if a phrase ends here, otherwise 0.
    phrase_symbols: float = 0
    children: dict[str, Node] = field(default_factory=dict)  # by the next letter


class Match(NamedTuple):
    """A text's position in the phrases."""

    node: Node | None  # None if the open word belongs to no phrase
    letters: int  # number of letters that match so far, spaces included
    counted: float  # symbols of a complete phrase that also begins a longer one

    @property
    def pending(self) -> float:
        """Symbols that match so far of a phrase that is not complete."""
        return self.node.symbols - self.counted if self.node else 0


NO_MATCH = Match(None, 0, 0)


class HotWords:
    """A trie of phrases that follows a text as it grows."""

    def __init__(self, phrases: Iterable[str] = (), alphabet: Sequence[str] = ()) -> None:
        """`phrases`: letters and single spaces. `alphabet`: by default, all their letters.

        InputError if a phrase is empty or the alphabet cannot spell it.
        """
        self.phrases = list(phrases)
        self._alphabet = alphabet or sorted(set("".join(self.phrases)))
        self._continuations: dict[int, list[int]] = {}  # by the id of the node
        self._root = Node()
        for phrase in self.phrases:
            self._add(phrase)
        self.start = Match(self._root, 0, 0)

    def _add(self, phrase: str) -> None:
        if not phrase:
            raise InputError("hot word '': it is empty")
        node = self._root
        for letter, symbols in zip(phrase, _symbols_needed(phrase, self._alphabet), strict=True):
            node = node.children.setdefault(letter, Node())
            node.symbols = max(node.symbols, symbols)
        node.phrase_symbols = symbols

    def add_letter(self, match: Match, word: str) -> Match:
        """The match after one more letter. `word`: the open word, including that letter."""
        if match.node is None:
            return NO_MATCH
        child = match.node.children.get(word[-1])
        if child is not None:
            return Match(child, match.letters + 1, match.counted)
        if match.letters < len(word):
            return NO_MATCH
        # A phrase that began in an earlier word has failed. This word may begin another.
        match = self.start
        for end in range(1, len(word) + 1):
            match = self.add_letter(match, word[:end])
        return match

    def end_word(self, match: Match) -> tuple[Match, float]:
        """The match after the end of a word, and the symbols of the phrase that this completes.

        The second is 0 if no phrase is completed.
        """
        if match.node is None:
            return self.start, 0
        completed = max(0, match.node.phrase_symbols - match.counted)
        child = match.node.children.get(" ")
        if child is None:
            return self.start, completed
        return Match(child, match.letters + 1, match.counted + completed), completed

    def continuations(self, match: Match) -> list[int]:
        """Indexes of the symbols that begin, continue or complete a phrase."""
        indexes = self._continuations.get(id(match.node))
        if indexes is None:
            indexes = [
                index
                for index, symbol in enumerate(self._alphabet)
                if self._continues(match.node, symbol)
            ]
            self._continuations[id(match.node)] = indexes
        return indexes

    def _continues(self, node: Node | None, symbol: str) -> bool:
        nodes = [node] if node and symbol else []
        for number, letter in enumerate(symbol):
            if letter == " " and number and any(node.phrase_symbols for node in nodes):
                return True
            nodes = [node.children[letter] for node in nodes if letter in node.children]
            if letter == " ":
                nodes.append(self._root)
        return any(node is not self._root for node in nodes)


def _symbols_needed(phrase: str, alphabet: Sequence[str]) -> list[float]:
    """For each letter of the phrase, the fewest symbols that spell the phrase up to it.

    The last symbol may spell letters beyond. InputError if the alphabet cannot spell the phrase.
    """
    known = "".join(sorted(set("".join(alphabet))))
    for letter in phrase:
        if letter not in known:
            remedy = ": write numbers in words, such as forty two" if letter.isdigit() else ""
            raise InputError(
                f"hot word {phrase!r}: this model has no {letter!r}; "
                f"it knows only {known!r}{remedy}"
            )
    symbols = set(alphabet)
    longest = max(map(len, alphabet))
    text = f" {phrase} "
    # needed[n]: the fewest symbols that spell exactly the first n letters of `text`. The space
    # before the phrase costs nothing.
    needed = [0.0, 0.0]
    for end in range(2, len(text) + 1):
        starts = range(max(0, end - longest), end)
        ways = [needed[start] + 1 for start in starts if text[start:end] in symbols]
        needed.append(min(ways, default=math.inf))
    # Let the last symbol reach beyond: the minimum over all later ends.
    needed = list(accumulate(reversed(needed), min))[::-1]
    if needed[-2] == math.inf:
        raise InputError(f"hot word {phrase!r}: this model's symbols cannot spell it")
    return needed[2:-1]
