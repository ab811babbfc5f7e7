"""CTC prefix beam search of a stream of logits (Graves 2012, section 7.5; Hannun et al. 2014, arXiv 1408.2873)."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import BLANK, PAUSE, Said, Word, WordDecoder, split_words
from ds2edge.runtime.decoding.fusion import Fusion, State

BEAM = 32  # texts that are pursued at once
# What the next two leave out was never missed, and would take most of the time. A step that is blank for certain, as
# most are, leaves one symbol to follow.
LEAST = 5e-3  # probability below which a symbol is not followed
HOT_LEAST = 1e-4  # the same for one that a hot word may go on with: rare pieces are seldom sure of themselves
MARGIN = 12.0  # nats below the best score at which a text is given up
SLACK = 3.0  # nats below those that will be kept, by acoustics alone, at which fusion is no longer asked for a text
SETTLED = 10.0  # seconds after which a word is no longer doubted: bounds the memory of a stream without end


@dataclass
class _Path(Said):
    """The symbol that a path of most probability said last, and what it said before."""

    symbol: int
    before: _Path | None
    length: int  # in letters, of the text that it says


class _Text:
    """What paths may have said so far: the words of `parent`, all of them over, and one more.

    Paths that spell one text in different symbols meet here. Words have one space between them, and none before.
    """

    __slots__ = (
        "blank",
        "flow",
        "length",
        "longer",
        "next_blank",
        "next_said",
        "open",
        "parent",
        "path",
        "said",
        "score",
        "start",
        "state",
        "word",
    )

    def __init__(self, parent: _Text | None, word: str, state: State) -> None:
        self.parent, self.word, self.state = (
            parent,
            word,
            state,
        )  # the word with its space, if it is over too
        self.open = "" if word.endswith(" ") else word
        self.start: _Text = parent if parent and self.open else self  # its words that are over
        self.length: int = len(word) + (parent.length if parent else 0)
        self.longer: dict[str, _Text] = (
            parent.longer if parent and self.open else {}
        )  # of one word more than these
        # Probability of all paths that say it: those that end in a blank, and those that end in each of its last
        # symbols; relative to the best text of the beam. `next`: of the step that is being computed.
        self.blank = self.next_blank = 0.0
        self.said: dict[int, float] = {}
        self.next_said: dict[int, float] = {}
        self.score = 0.0
        self.path: _Path | None = None  # where most of the probability came in, and how much
        self.flow = 0.0

    @property
    def total(self) -> float:
        return self.blank + sum(self.said.values())

    def say(self, symbol: int, probability: float) -> None:
        """In the step that is being computed, paths of so much probability end in `symbol`."""
        self.next_said[symbol] = self.next_said.get(symbol, 0.0) + probability


class BeamDecoder(WordDecoder):
    """The text of the highest probability over all its paths, with what `Fusion` adds, however it is chunked."""

    def __init__(
        self,
        alphabet: Sequence[str],
        step_seconds: float,
        fusion: Fusion | None = None,
        beam: int = BEAM,
    ) -> None:
        """`step_seconds`: audio per step. InputError for a hot word that the alphabet cannot spell."""
        super().__init__(alphabet, step_seconds)
        self._fusion = (fusion or Fusion()).spelled_in(alphabet)
        self._width = beam
        self._symbols = [re.sub(" +", " ", symbol) for symbol in alphabet]
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
            self._step(row)
            self._steps += 1
            self._in_pause = self._in_pause and self.blank_seconds >= PAUSE
            if not self._in_pause and self.blank_seconds >= PAUSE:
                self._in_pause = True
                self._end_words()
            if self._steps % self._window == 0:
                self._settle(self._steps - self._window)

    @property
    def empty(self) -> bool:
        """Whether there is no word, not even an open one."""
        return not self._words and self._beam[0] is self._root

    def words(self) -> list[Word]:
        """All words so far, as if the last one were over."""
        ended = self._ended()
        best = max(ended, key=lambda end: math.log(_sum(ended[end]) or 1e-300) + end.state.settled)
        said = _said(_most_probable(ended[best]).path)
        return self._words + [self._word(word) for word in split_words(said) if word]

    def take(self, open_word: bool = True) -> list[Word]:
        """The words so far, which the decoder forgets: a stream without end must. `open_word`: the last one too."""
        if open_word:
            self._words = self.words()
            self._begin()
        else:
            self._settle(self._steps)
        words, self._words = self._words, []
        return words

    def _begin(self) -> None:
        self._root = _Text(None, "", self._fusion.start)
        self._root.blank = 1.0
        self._beam = [self._root]  # best first

    def _step(self, row: list[float]) -> None:
        highest = max(row)
        self._best = row.index(highest)
        if self._symbols[self._best].strip():
            self._letter = self._steps
        followed = min(LEAST, highest)
        likely = sorted(
            ((p, symbol) for symbol, p in enumerate(row) if p >= followed), reverse=True
        )
        enough = self._enough([p for p, _ in likely])
        self._reached: dict[_Text, None] = {}  # texts of this step, in a fixed order, for ties
        for text in self._beam:
            total = text.total
            least = math.exp(enough - text.state.score)
            floor = max(followed, least / total)
            for p, symbol in likely:
                if p < floor:
                    break
                self._follow(text, total, symbol, p, least)
            for symbol in self._fusion.hotwords.wanted(text.state.match):
                if HOT_LEAST <= row[symbol] < floor:
                    self._follow(text, total, symbol, row[symbol], 0.0)
        for text in self._reached:
            text.blank, text.said = text.next_blank, text.next_said
            text.next_blank, text.next_said = 0.0, {}
        self._keep_best(list(self._reached))

    def _enough(self, likely: list[float]) -> float:
        """The score that a text must reach by acoustics alone to be looked at, of symbols so probable."""
        scores = np.add.outer([text.score for text in self._beam], np.log(likely)).ravel()
        enough = float(scores.max()) - MARGIN
        if len(scores) > self._width:
            enough = max(enough, float(np.partition(scores, -self._width)[-self._width]) - SLACK)
        return enough

    def _follow(self, text: _Text, total: float, symbol: int, p: float, least: float) -> None:
        """Paths of `text`, so many in total, say `symbol`: a blank, the run that it is in, or a new one."""
        if symbol == BLANK:
            text.next_blank += total * p
            self._reached[text] = None
            return
        if not text.open and self._symbols[symbol] == " ":
            text.say(symbol, total * p)
            self._reached[text] = None
            return
        coming = total
        if symbol in text.said:
            staying = text.said[symbol]
            coming = total - staying if len(text.said) > 1 else text.blank
            text.say(symbol, staying * p)
            self._reached[text] = None
            path = text.path
            if symbol == self._best and path is not None and path.symbol == symbol:
                path.last, path.probability = self._steps, max(path.probability, p)
        coming *= p
        if coming <= least:
            return
        longer = self._longer(text, self._symbols[symbol])
        longer.say(symbol, coming)
        self._reached[longer] = None
        if coming > longer.flow:
            said, now = self._symbols[symbol], self._steps
            longer.path = _Path(said, now, now, p, symbol, text.path, longer.length)
            longer.flow = coming

    def _longer(self, text: _Text, symbol: str) -> _Text:
        """The text with a symbol more; a space after a space is none."""
        for number, letters in enumerate(symbol.split(" ")):
            if number:
                text = self._end_word(text)
            if letters:
                word = text.open + letters
                longer = text.longer.get(word)
                if longer is None:
                    state = self._fusion.letters(text.state, letters)
                    longer = text.longer[word] = _Text(text.start, word, state)
                text = longer
        return text

    def _end_word(self, text: _Text) -> _Text:
        """The text with its open word ended."""
        if not text.open:
            return text
        word = text.open + " "
        longer = text.longer.get(word)
        if longer is None:
            longer = text.longer[word] = _Text(text.start, word, self._fusion.end_word(text.state))
        return longer

    def _keep_best(self, texts: list[_Text]) -> None:
        for text in texts:
            text.score = math.log(text.total or 1e-300) + text.state.score
        texts.sort(key=lambda text: -text.score)
        least, scale, before = texts[0].score - MARGIN, texts[0].total, self._beam
        self._beam = [text for text in texts[: self._width] if text.score >= least]
        for text in {*before, *texts}.difference(self._beam):
            text.flow = 0.0  # should it come back, it is said anew
        for text in self._beam:
            text.score -= math.log(scale)
            text.blank /= scale
            text.said = {symbol: p / scale for symbol, p in text.said.items()}

    def _ended(self) -> dict[_Text, list[_Text]]:
        """The texts of the beam by what they are with their open word ended: "a" and "a " are one."""
        ended: dict[_Text, list[_Text]] = defaultdict(list)
        for text in self._beam:
            ended[self._end_word(text)].append(text)
        return ended

    def _end_words(self) -> None:
        """A pause ends the open word, whether or not the network says a space."""
        ended = [(end, _sum(texts), _most_probable(texts)) for end, texts in self._ended().items()]
        for end, total, text in ended:
            if text is not end:
                end.path = _Path(" ", self._steps, self._steps, 1.0, BLANK, text.path, end.length)
            end.blank, end.said = total, {}
        self._keep_best([end for end, _, _ in ended])

    def _settle(self, before: int) -> None:
        """The words of the best text that were said by step `before` are no longer doubted.

        Texts that begin with others are given up.
        """
        best = self._beam[0]
        ends = [text for text in _line(best) if not text.open and text is not self._root]
        for end, word in zip(reversed(ends), split_words(_said(best.path)), strict=False):
            if word[-1].last > before:
                break
            self._words.append(self._word(word))
            self._root = end
        self._beam = [text for text in self._beam if self._root in _line(text)]
        self._root.parent = None
        for text in self._beam:
            text.path = self._without_past(text.path)

    def _without_past(self, path: _Path | None) -> _Path | None:
        """The same path, which forgets what it said up to the root."""
        if path is None or path.length <= self._root.length:
            return None
        first = path
        while first.before is not None and first.before.length > self._root.length:
            first = first.before
        first.before = None
        first.text = first.text[self._root.length - first.length :]
        return path


def _sum(texts: list[_Text]) -> float:
    return sum(text.total for text in texts)


def _most_probable(texts: list[_Text]) -> _Text:
    return max(texts, key=lambda text: text.total)


def _line(text: _Text) -> list[_Text]:
    """A text and all that it grew from, the root last."""
    line = [text]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    return line


def _said(path: _Path | None) -> list[Said]:
    """What a path says, in order."""
    said: list[Said] = []
    while path is not None:
        said.append(path)
        path = path.before
    return said[::-1]
