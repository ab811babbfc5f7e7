"""Decodes the words of a wildcard again, for example with a language model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import Decoder, Word

MOST_SECONDS = 60.0  # of sound that is kept; more than an utterance has


class WildcardText:
    """The last logits of an utterance, and a decoder for parts of them."""

    def __init__(self, make_decoder: Callable[[], Decoder], step_seconds: float) -> None:
        """`make_decoder`: makes the decoder of one wildcard."""
        self._make_decoder = make_decoder
        self._rows: deque[npt.NDArray[np.float32]] = deque(
            maxlen=round(MOST_SECONDS / step_seconds)
        )
        self._end = 0  # the step after the last row

    def add(self, row: npt.NDArray[np.float32], step: int) -> None:
        """Keeps the logits of a step, float [symbols]."""
        self._rows.append(row)
        self._end = step + 1

    def clear(self) -> None:
        """Forgets all logits."""
        self._rows.clear()

    def words(self, first: int, end: int) -> list[Word]:
        """The words from step `first` up to `end`; none if the sound is no longer kept."""
        start = self._end - len(self._rows)
        rows = list(self._rows)[max(0, first - start) : end - start]
        if first < start or not rows:
            return []
        decoder = self._make_decoder()
        decoder.skip(first)
        decoder.accept(np.stack(rows))
        return decoder.take()
