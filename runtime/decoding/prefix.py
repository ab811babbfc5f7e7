"""Prefixes of the beam search: the texts it pursues, in a tree that shares their words."""

from __future__ import annotations

from dataclasses import dataclass

from ds2edge.runtime.decoding.ctc import Emission
from ds2edge.runtime.decoding.fusion import State


@dataclass
class Alignment(Emission):
    """The last emission of a prefix on its most probable path, linked to those before."""

    symbol: int
    before: Alignment | None
    length: int  # letters of the prefix that this emission completes


class Prefix:
    """A text so far: the finished words of `parent`, followed by one more word.

    Paths that spell the same text with different symbols share one prefix. Single spaces separate
    the words; none comes before the first.

    `p_blank` and `p_nonblank` are the probabilities of Hannun et al. 2014: of all paths that spell
    the prefix and end in a blank, or in a symbol. Since symbols may be pieces of words, there is
    one `p_nonblank` for each last symbol. All are relative to the best prefix of the beam. Those of
    the step that is being computed are `next_p_blank` and `next_p_nonblank`.
    """

    __slots__ = (
        "alignment",
        "extensions",
        "finished",
        "inflow",
        "length",
        "next_p_blank",
        "next_p_nonblank",
        "open_word",
        "p_blank",
        "p_nonblank",
        "parent",
        "score",
        "state",
        "word",
    )

    def __init__(self, parent: Prefix | None, word: str, state: State) -> None:
        """A `word` that ends in a space is finished; any other is open. `state`: of the fusion."""
        self.parent = parent
        self.word = word
        self.state = state
        self.open_word = "" if word.endswith(" ") else word
        # The prefix of the finished words alone, and all prefixes that add one word to it.
        self.finished: Prefix = self
        self.extensions: dict[str, Prefix] = {}
        self.length: int = len(word)  # in letters and spaces
        if parent:
            self.length += parent.length
            if self.open_word:
                self.finished = parent
                self.extensions = parent.extensions

        self.p_blank = 0.0
        self.next_p_blank = 0.0
        self.p_nonblank: dict[int, float] = {}
        self.next_p_nonblank: dict[int, float] = {}
        self.score = 0.0  # log probability plus fusion
        # The most probable way into this prefix, and the probability that came in by it.
        self.alignment: Alignment | None = None
        self.inflow = 0.0

    @property
    def probability(self) -> float:
        """Of all paths that spell this prefix."""
        return self.p_blank + sum(self.p_nonblank.values())

    def add_nonblank(self, symbol: int, probability: float) -> None:
        """Adds paths that end in `symbol` to the step that is being computed."""
        self.next_p_nonblank[symbol] = self.next_p_nonblank.get(symbol, 0.0) + probability

    def lineage(self) -> list[Prefix]:
        """This prefix and its ancestors, the root last."""
        lineage = [self]
        while lineage[-1].parent is not None:
            lineage.append(lineage[-1].parent)
        return lineage

    def emissions(self) -> list[Emission]:
        """The emissions of the most probable path, in order."""
        emissions: list[Emission] = []
        alignment = self.alignment
        while alignment is not None:
            emissions.append(alignment)
            alignment = alignment.before
        return emissions[::-1]

    def forget_before(self, root: Prefix) -> None:
        """Drops the emissions that spell the prefix `root`."""
        first = self.alignment
        if first is None or first.length <= root.length:
            self.alignment = None
            return
        while first.before is not None and first.before.length > root.length:
            first = first.before
        first.before = None
        first.text = first.text[root.length - first.length :]


def total_probability(prefixes: list[Prefix]) -> float:
    """The sum over some prefixes."""
    return sum(prefix.probability for prefix in prefixes)


def most_probable(prefixes: list[Prefix]) -> Prefix:
    """The one with the highest probability."""
    return max(prefixes, key=lambda prefix: prefix.probability)
