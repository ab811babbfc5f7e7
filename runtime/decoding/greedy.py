"""Greedy CTC decoding: the best symbol of every step (Graves et al. 2006, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import (
    BLANK,
    PAUSE_SECONDS,
    Decoder,
    Emission,
    Word,
    split_words,
)


class GreedyDecoder(Decoder):
    """Takes the best symbol of every step, merges repeats and drops blanks.

    Spaces and pauses end words.
    """

    def __init__(self, alphabet: Sequence[str], step_seconds: float) -> None:
        """`alphabet`: the symbol of each logit. `step_seconds`: seconds of audio per step."""
        super().__init__(alphabet, step_seconds)
        self._emissions: list[Emission] = []  # after the final words; the last one may still grow
        self._previous = BLANK

    @property
    def description(self) -> str:
        """The method, for reports."""
        return "greedy decoding"

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Decodes the next logits, float32 [steps, symbols]."""
        best = logits.argmax(-1)
        # The softmax is needed only at the best symbol: 1 / sum(exp(x - max)).
        probability = 1 / np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
        for symbol, p in zip(best.tolist(), probability.tolist(), strict=True):
            self._step(symbol, p)

    def _step(self, symbol: int, probability: float) -> None:
        if self._alphabet[symbol].strip():
            if self.blank_seconds >= PAUSE_SECONDS:
                self._end_words(open_word=True)
            self._last_letter_step = self._steps
        if symbol != self._previous:
            self._begin(symbol, probability)
        elif symbol != BLANK and self._emissions:
            run = self._emissions[-1]
            run.last = self._steps
            run.probability = max(run.probability, probability)
        self._previous = symbol
        self._steps += 1

    def _begin(self, symbol: int, probability: float) -> None:
        """Begins a run of `symbol`."""
        if symbol == BLANK:
            return
        if self._emissions and " " in self._emissions[-1].text:
            self._end_words(open_word=False)
        text = self._alphabet[symbol]
        self._emissions.append(Emission(text, self._steps, self._steps, probability))

    @property
    def empty(self) -> bool:
        """True if there is no word, not even an open one."""
        return not self._words and not any(emission.text.strip() for emission in self._emissions)

    def words(self) -> list[Word]:
        """All words so far, including the open one."""
        return self._words + [self._word(word) for word in split_words(self._emissions) if word]

    def take(self, open_word: bool = True) -> list[Word]:
        """Returns the words so far and drops them, so that memory stays bounded.

        With `open_word=False` the open word stays in the decoder.
        """
        self._end_words(open_word)
        words = self._words
        self._words = []
        return words

    def _end_words(self, open_word: bool) -> None:
        """Makes the words before the last space final, and the open one too if asked."""
        *ended, rest = split_words(self._emissions)
        if open_word and rest:
            ended.append(rest)
            rest = []
        self._words += [self._word(word) for word in ended]
        self._emissions = rest
