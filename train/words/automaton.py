"""Whether a text is a phrase, and which words phrases have: answers of the automaton of a grammar.

`Grammar.match` gives the same answer and also the meaning. It tries one template after the other,
so it takes much longer for a grammar of hundreds of templates.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest

import numpy as np

from ds2edge.runtime.phrases.letters import ANYTHING, Letters


class Automaton:
    """The letters of all phrases, to walk through."""

    def __init__(self, letters: Letters) -> None:
        self._next: dict[int, dict[str, int]] = defaultdict(dict)
        for source, label, target in zip(
            letters.sources.tolist(),
            letters.label_ids.tolist(),
            letters.targets.tolist(),
            strict=True,
        ):
            self._next[source][letters.labels[label]] = target
        self._final = set(np.flatnonzero(np.isfinite(letters.final)).tolist())

    def accepts(self, text: str) -> bool:
        """Whether a text, its words separated by one space, is a phrase."""
        states = {0}
        wild: set[int] = set()  # states after the wildcards that the text is within
        for letter, following in zip_longest(text, text[1:], fillvalue=" "):
            begun = {s for s in states if ANYTHING in self._next[s]}
            states = {self._next[state][letter] for state in states if letter in self._next[state]}
            if letter == " ":
                states |= begun
            else:
                wild |= {self._next[state][ANYTHING] for state in begun}
            if following == " ":
                states |= wild
        return bool(text) and not self._final.isdisjoint(states)

    def words(self) -> set[str]:
        """All words that phrases have, but not the words of wildcards."""
        starts = {after[" "] for after in list(self._next.values()) if " " in after}
        reached = {(state, "") for state in {0, *starts}}
        words = set()
        queue = list(reached)
        for state, word in queue:
            following = self._next[state]
            if word and (state in self._final or " " in following):
                words.add(word)
            longer = {
                (target, word + label)
                for label, target in following.items()
                if label not in (" ", ANYTHING)
            }
            queue.extend(longer - reached)
            reached |= longer
        return words
