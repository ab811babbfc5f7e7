"""Words and phrases to expect: which of them the text so far is in the midst of, letter by letter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Trie = dict[str, Any]  # a trie again for each letter
COMPLETE = "complete"  # the key of a trie where a phrase ends


class Match(NamedTuple):
    """Where in the phrases a text is."""

    trie: Trie | None  # what may follow; None: the open word is not theirs
    letters: int  # that match so far, spaces counted, of a phrase that is not complete


NO_MATCH = Match(None, 0)


class HotWords:
    """A trie of phrases, in which a text is looked up as it grows."""

    def __init__(self, phrases: Iterable[str] = ()) -> None:
        """Letters and single spaces, in the model's alphabet."""
        self.phrases = list(phrases)
        self._trie: Trie = {}
        for phrase in self.phrases:
            place = self._trie
            for letter in phrase:
                place = place.setdefault(letter, {})
            place[COMPLETE] = {}
        self.start = Match(self._trie, 0)

    def letter(self, match: Match, word: str) -> Match:
        """After another letter; `word` is the open word with it."""
        if match.trie is None:
            return NO_MATCH
        longer = match.trie.get(word[-1])
        if longer is not None:
            return Match(longer, match.letters + 1)
        if match.letters < len(word):
            return NO_MATCH
        # A phrase that began in an earlier word fails: this word may begin one itself.
        match = self.start
        for end in range(1, len(word) + 1):
            match = self.letter(match, word[:end])
        return match

    def wants(self, match: Match, text: str) -> bool:
        """Whether a phrase goes on, begins or completes itself with this text."""
        places = [match.trie] if text and match.trie is not None else []
        for number, letter in enumerate(text):
            if letter == " ":
                if number and any(COMPLETE in place for place in places):
                    return True
                places = [place[" "] for place in places if " " in place]
                places.append(self._trie)
            else:
                places = [place[letter] for place in places if letter in place]
        return any(place is not self._trie for place in places)

    def space(self, match: Match) -> tuple[Match, int]:
        """After a word is over: the match, and the letters of the phrase that this completed, 0 if none."""
        if match.trie is None:
            return self.start, 0
        complete = match.letters if COMPLETE in match.trie else 0
        longer = match.trie.get(" ")
        if longer is None:
            return self.start, complete
        return Match(longer, match.letters + 1 - complete), complete
