"""CTC prefix beam search of a stream of logits (Graves 2012, section 7.5; Hannun et al. 2014, arXiv 1408.2873)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.ctc import BLANK, PAUSE, Said, Word, WordDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.fusion import Fusion, State

BEAM = 16  # texts that are pursued at once
# What the next two leave out was never missed, and would take most of the time. A step that is blank for certain, as
# most are, leaves one symbol to follow.
LEAST = 5e-3  # probability below which a symbol is not followed
MARGIN = 12.0  # nats below the best score at which a text is given up
SETTLED = 10.0  # seconds after which a word is no longer doubted: bounds the memory of a stream without end


class _Prefix:
    """A text that a path may have said so far: the one of `parent`, and one symbol more."""

    __slots__ = (
        "blank", "children", "first", "flow", "last", "next_blank", "next_symbol", "parent", "probability", "said",
        "score", "state", "symbol",
    )  # fmt: skip

    def __init__(self, parent: _Prefix | None, symbol: int, state: State, step: int) -> None:
        self.parent, self.symbol, self.state = parent, symbol, state
        self.children: dict[int, _Prefix] = {}
        # Probability of all paths that say it, those that end in a blank and those that end in its symbol; relative to
        # the best prefix of the beam. `next`: of the step that is being computed.
        self.blank = self.said = self.next_blank = self.next_symbol = 0.0
        self.score = 0.0
        # The steps of the symbol, and its highest probability there: where most of the probability came in.
        self.first = self.last = step
        self.flow = self.probability = 0.0

    @property
    def total(self) -> float:
        return self.blank + self.said


class BeamDecoder(WordDecoder):
    """The text of the highest probability over all its paths, with what `Fusion` adds, however it is chunked.

    Spaces in a row are one, and none are said at the start.
    """

    def __init__(
        self, alphabet: Sequence[str], step_seconds: float, fusion: Fusion | None = None, beam: int = BEAM
    ) -> None:
        """`step_seconds`: audio per step. InputError for a hot word that the alphabet cannot spell."""
        super().__init__(alphabet, step_seconds)
        self._fusion = fusion or Fusion()
        for phrase in self._fusion.hotwords.phrases:
            for letter in phrase:
                if letter not in alphabet:
                    raise InputError(f"hot word {phrase!r}: this model has no {letter!r}, only {''.join(alphabet)!r}")
        self._width = beam
        self._space = alphabet.index(" ") if " " in alphabet else len(alphabet)
        self._window = round(SETTLED / step_seconds)
        self._in_pause = False
        self._begin()

    @property
    def description(self) -> str:
        """For reports: the width, and what fusion adds."""
        return ", ".join([f"beam of {self._width}", *self._fusion.parts])

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Next logits, float [steps, symbols]."""
        likelihood = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
        for row in (likelihood / likelihood.sum(-1, keepdims=True)).tolist():
            self._step([(symbol, p) for symbol, p in enumerate(row) if p >= LEAST], row.index(max(row)))
            self._steps += 1
            self._in_pause = self._in_pause and self.blank_seconds >= PAUSE
            if not self._in_pause and self.blank_seconds >= PAUSE:
                self._in_pause = True
                self._end_words()
            if self._steps % self._window == 0:
                self._settle(self._boundary(self._steps - self._window))

    @property
    def empty(self) -> bool:
        """Whether there is no word, not even an open one."""
        return not self._words and self._beam[0].parent is None

    def words(self) -> list[Word]:
        """All words so far, as if the last one were over."""
        return self._words + self._words_of(self._best())

    def take(self, open_word: bool = True) -> list[Word]:
        """The words so far, which the decoder forgets: a stream without end must. `open_word`: the last one too."""
        if open_word:
            self._words += self._words_of(self._best())
            self._begin()
        else:
            self._settle(self._boundary(self._steps))
        words, self._words = self._words, []
        return words

    def _begin(self) -> None:
        root = _Prefix(None, self._space, self._fusion.start, self._steps)
        root.blank = 1.0
        self._beam = [root]  # best first

    def _step(self, likely: list[tuple[int, float]], best: int) -> None:
        if self._alphabet[best].strip():
            self._letter = self._steps
        reached: dict[_Prefix, None] = {}  # in a fixed order, for ties
        for prefix in self._beam:
            total = prefix.total
            for symbol, p in likely:
                if symbol == BLANK:
                    prefix.next_blank += total * p
                    reached[prefix] = None
                    continue
                coming = total
                if symbol == prefix.symbol:
                    # The same run goes on, or another space after a space; only after a blank is it a new letter.
                    staying, coming = (total, 0.0) if symbol == self._space else (prefix.said, prefix.blank)
                    prefix.next_symbol += staying * p
                    reached[prefix] = None
                    if symbol == best:
                        prefix.last, prefix.probability = self._steps, max(prefix.probability, p)
                if coming:
                    child = self._child(prefix, symbol)
                    child.next_symbol += coming * p
                    reached[child] = None
                    if coming * p > child.flow:
                        child.flow, child.probability, child.first, child.last = coming * p, p, self._steps, self._steps
        for prefix in reached:
            prefix.blank, prefix.said = prefix.next_blank, prefix.next_symbol
            prefix.next_blank = prefix.next_symbol = 0.0
        self._keep_best(list(reached))

    def _keep_best(self, prefixes: list[_Prefix]) -> None:
        for prefix in prefixes:
            prefix.score = math.log(prefix.total or 1e-300) + prefix.state.score
        prefixes.sort(key=lambda prefix: -prefix.score)
        least, scale = prefixes[0].score - MARGIN, prefixes[0].total
        self._beam = [prefix for prefix in prefixes[: self._width] if prefix.score >= least]
        for prefix in self._beam:
            prefix.blank, prefix.said = prefix.blank / scale, prefix.said / scale

    def _child(self, prefix: _Prefix, symbol: int) -> _Prefix:
        child = prefix.children.get(symbol)
        if child is None:
            space = symbol == self._space
            fusion, state = self._fusion, prefix.state
            state = fusion.end_word(state) if space else fusion.letter(state, self._alphabet[symbol])
            child = prefix.children[symbol] = _Prefix(prefix, symbol, state, self._steps)
        return child

    def _ended(self) -> dict[_Prefix, float]:
        """Each text of the beam with its open word ended, and its probability; "a" and "a " become one."""
        ended: dict[_Prefix, float] = {}
        for prefix in self._beam:
            end = prefix if prefix.symbol == self._space else self._child(prefix, self._space)
            ended[end] = ended.get(end, 0.0) + prefix.total
        return ended

    def _end_words(self) -> None:
        """A pause ends the open word, whether or not the network says a space."""
        ended = self._ended()
        for prefix, total in ended.items():
            prefix.blank, prefix.said = total, 0.0
        self._keep_best(list(ended))

    def _best(self) -> _Prefix:
        ended = self._ended()
        return max(ended, key=lambda prefix: math.log(ended[prefix] or 1e-300) + prefix.state.settled)

    def _boundary(self, before: int) -> _Prefix:
        """The end of the last word of the best text whose letters were said by step `before`."""
        prefix = self._beam[0]
        while prefix.parent is not None and (prefix.symbol != self._space or prefix.parent.last > before):
            prefix = prefix.parent
        return prefix

    def _settle(self, boundary: _Prefix) -> None:
        """The words up to `boundary` are no longer doubted: texts that begin with others are given up."""
        self._words += self._words_of(boundary)
        self._beam = [prefix for prefix in self._beam if boundary in _line(prefix)]
        boundary.parent = None

    def _words_of(self, prefix: _Prefix) -> list[Word]:
        words: list[Word] = []
        for space, run in groupby(reversed(_line(prefix)[:-1]), lambda prefix: prefix.symbol == self._space):
            if not space:
                words.append(self._word([Said(self._alphabet[letter.symbol], letter.first, letter.last,
                                              letter.probability) for letter in run]))  # fmt: skip
        return words


def _line(prefix: _Prefix) -> list[_Prefix]:
    """A prefix and all that it grew from, the root last."""
    line = [prefix]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    return line
