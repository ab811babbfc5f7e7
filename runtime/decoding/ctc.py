"""What all CTC decoders share: the words they return and the interface `Decoder`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

BLANK = 0  # index of the blank in every alphabet of the kit
# A pause of this length ends a word. Networks trained on single phrases emit no space in a pause.
PAUSE_SECONDS = 0.8


@dataclass(frozen=True)
class Word:
    """A recognised word. Times are in seconds from the start of the stream.

    The confidence is the mean probability of the word's symbols, from 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Meaning:
    """What a phrase means. The file of phrases names the intent and the values of the slots."""

    intent: str
    slots: dict[str, Any]


@dataclass
class Emission:
    """A symbol, or a part of one, that the network emits over a run of steps."""

    text: str
    first: int  # step
    last: int  # step
    probability: float  # the highest of the run


def split_words(emissions: Iterable[Emission]) -> list[list[Emission]]:
    """The emissions of each word. The last list is the open word and may be empty.

    A space may stand anywhere in a symbol, as in " the". It divides the symbol between two words.
    """
    words: list[list[Emission]] = [[]]
    for emission in emissions:
        for number, part in enumerate(emission.text.split(" ")):
            if number and words[-1]:
                words.append([])
            if part:
                whole = part == emission.text
                words[-1].append(emission if whole else replace(emission, text=part))
    return words


class Decoder(ABC):
    """Turns a stream of logits into words. How the logits are cut into calls changes nothing.

    The last word stays open, and may still grow, until a space or a pause ends it.
    """

    def __init__(self, alphabet: Sequence[str], step_seconds: float) -> None:
        """`alphabet`: the symbol of each logit. `step_seconds`: seconds of audio per step."""
        self._alphabet = alphabet
        self._step_seconds = step_seconds
        self._words: list[Word] = []  # final ones
        self._steps = 0
        self._last_letter_step = -1  # the last step whose best symbol held a letter

    @property
    def seconds(self) -> float:
        """Seconds of audio decoded so far."""
        return self._steps * self._step_seconds

    @property
    def blank_seconds(self) -> float:
        """Seconds of audio since the last letter, or since the start if there was none."""
        return (self._steps - 1 - self._last_letter_step) * self._step_seconds

    @property
    @abstractmethod
    def description(self) -> str:
        """The method and its settings, for reports."""

    @abstractmethod
    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Decodes the next logits, float32 [steps, symbols]."""

    def skip(self, steps: int) -> None:
        """Passes over steps: they count as time, but nothing in them is decoded."""
        self._steps += steps

    @property
    @abstractmethod
    def empty(self) -> bool:
        """True if there is no word, not even an open one."""

    @abstractmethod
    def words(self) -> list[Word]:
        """All words so far, including the open one."""

    def final_words(self) -> list[Word]:
        """The words at the end of the stream."""
        return self.words()

    def meaning(self, text: str) -> Meaning | None:
        """What a final text means. Only phrases have a meaning."""
        return None

    def text(self) -> str:
        """All words so far, separated by single spaces."""
        return " ".join(word.text for word in self.words())

    @abstractmethod
    def take(self, open_word: bool = True) -> list[Word]:
        """Returns the words so far and drops them, so that memory stays bounded.

        With `open_word=False` the open word stays in the decoder.
        """

    def _word(self, emissions: Sequence[Emission]) -> Word:
        """The word that the emissions spell, from the first step to the end of the last."""
        start = round(emissions[0].first * self._step_seconds, 3)
        end = round((emissions[-1].last + 1) * self._step_seconds, 3)
        confidence = sum(emission.probability for emission in emissions) / len(emissions)
        text = "".join(emission.text for emission in emissions)
        return Word(text, start, end, round(confidence, 4))


# Makes a decoder from the alphabet and the seconds of audio per step.
DecoderFactory = Callable[[Sequence[str], float], Decoder]
