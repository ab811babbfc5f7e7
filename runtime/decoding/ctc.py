"""What CTC decoders share, and the greedy one (Graves et al. 2006, section 3.2: best path)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

BLANK = 0  # index of the blank in every alphabet of the kit
PAUSE = 0.8  # seconds without a letter that end a word: networks trained on single phrases say no space after a pause


@dataclass(frozen=True)
class Word:
    """A recognised word; times in seconds from the start of the stream, confidence 0..1 (mean of its symbols')."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass
class Said:
    """A symbol, or a part of one, as a path says it: a run of steps."""

    text: str
    first: int  # step
    last: int
    probability: float  # the highest of the run


def split_words(symbols: Iterable[Said]) -> list[list[Said]]:
    """Symbols by the word that they spell; the last word is the open one, and may be empty.

    A space may stand at the start of a symbol (" the"), at its end, inside or alone: what stands on either side of it
    belongs to the one word and to the other.
    """
    words: list[list[Said]] = [[]]
    for symbol in symbols:
        for number, part in enumerate(symbol.text.split(" ")):
            if number and words[-1]:
                words.append([])
            if part:
                words[-1].append(symbol if part == symbol.text else replace(symbol, text=part))
    return words


class WordDecoder(ABC):
    """A stream of logits in, words out, however it is chunked."""

    def __init__(self, alphabet: Sequence[str], step_seconds: float) -> None:
        """`step_seconds`: audio per step."""
        self._alphabet = alphabet
        self._step_seconds = step_seconds
        self._words: list[Word] = []  # that will not change
        self._steps = 0
        self._letter = -1  # the last step whose best symbol was one

    @property
    def seconds(self) -> float:
        """Audio decoded so far."""
        return self._steps * self._step_seconds

    @property
    def blank_seconds(self) -> float:
        """Audio since the last letter; since the start if there was none."""
        return (self._steps - 1 - self._letter) * self._step_seconds

    @property
    @abstractmethod
    def description(self) -> str:
        """For reports: what was searched, and by what."""

    @abstractmethod
    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Next logits, float [steps, symbols]."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether there is no word, not even an open one."""

    @abstractmethod
    def words(self) -> list[Word]:
        """All words so far, the one still open included."""

    def text(self) -> str:
        """The words so far, one space between them."""
        return " ".join(word.text for word in self.words())

    @abstractmethod
    def take(self, open_word: bool = True) -> list[Word]:
        """The words so far, which the decoder forgets: a stream without end must. `open_word`: the last one too."""

    def _word(self, symbols: Sequence[Said]) -> Word:
        """That symbols spell, from the first step of the first to the last of the last."""
        start = round(symbols[0].first * self._step_seconds, 3)
        end = round((symbols[-1].last + 1) * self._step_seconds, 3)
        confidence = sum(symbol.probability for symbol in symbols) / len(symbols)
        return Word("".join(symbol.text for symbol in symbols), start, end, round(confidence, 4))


# From the alphabet and the seconds of audio per step: GreedyDecoder, or a BeamDecoder whose other arguments are bound.
DecoderFactory = Callable[[Sequence[str], float], WordDecoder]


class GreedyDecoder(WordDecoder):
    """Best symbol of every step, repeats merged, blanks dropped, split at spaces and pauses."""

    def __init__(self, alphabet: Sequence[str], step_seconds: float) -> None:
        """`step_seconds`: audio per step."""
        super().__init__(alphabet, step_seconds)
        self._symbols: list[Said] = []  # of words that are still open: the last symbol may yet grow
        self._previous = BLANK

    @property
    def description(self) -> str:
        """For reports."""
        return "greedy decoding"

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Next logits, float [steps, symbols]."""
        best = logits.argmax(-1)
        # Softmax at the best symbol alone: 1 / sum(exp(x - max)).
        probability = 1 / np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
        for index, p in zip(best.tolist(), probability.tolist(), strict=True):
            if self._alphabet[index].strip():
                if self.blank_seconds >= PAUSE:
                    self._close_words(open_word=True)
                self._letter = self._steps
            if index == self._previous:
                if index != BLANK and self._symbols:
                    run = self._symbols[-1]
                    run.last, run.probability = self._steps, max(run.probability, p)
            elif index != BLANK:
                if self._symbols and " " in self._symbols[-1].text:
                    self._close_words(open_word=False)
                self._symbols.append(Said(self._alphabet[index], self._steps, self._steps, p))
            self._previous = index
            self._steps += 1

    @property
    def empty(self) -> bool:
        """Whether there is no word, not even an open one."""
        return not self._words and not any(symbol.text.strip() for symbol in self._symbols)

    def words(self) -> list[Word]:
        """All words so far, the one still open included."""
        return self._words + [
            self._word(symbols) for symbols in split_words(self._symbols) if symbols
        ]

    def take(self, open_word: bool = True) -> list[Word]:
        """The words so far, which the decoder forgets: a stream without end must. `open_word`: the last one too."""
        self._close_words(open_word)
        words, self._words = self._words, []
        return words

    def _close_words(self, open_word: bool) -> None:
        """Those before the last space are over; `open_word`: the one after it, too."""
        *ended, symbols = split_words(self._symbols)
        if open_word and symbols:
            ended.append(symbols)
            symbols = []
        self._words += [self._word(word) for word in ended]
        self._symbols = symbols
