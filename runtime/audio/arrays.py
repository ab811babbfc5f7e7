"""Sound in memory: checks numpy arrays, and reads them in blocks as `AudioFile` reads a file."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import MAX_CHANNELS, Channels, ChannelStatistics, mix, to_float
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

MIN_RATE = 1000  # Hz; a lower number is most likely meant in kHz


class AudioArray:
    """A whole recording as an array."""

    def __init__(self, samples: npt.NDArray[np.generic], rate: int) -> None:
        """`samples`: [n] or [n, channels], int16, int32 or float in -1..1, at `rate` Hz.

        TypeError or InputError for anything else.
        """
        self.rate = check_rate(rate)
        self._samples = check_samples(samples)

    def blocks(self, seconds: float = 1.0) -> Iterator[Samples]:
        """Yields mono float32 blocks in -1..1 at the array's own rate.

        The channels are mixed by the same rules as those of a file.
        """
        channels = 1 if self._samples.ndim == 1 else self._samples.shape[1]
        statistics = ChannelStatistics(channels)
        if channels > 1:
            statistics = ChannelStatistics.of(self._float_blocks(seconds), channels)
        for block in self._float_blocks(seconds):
            yield mix(block, statistics.weights)

    def _float_blocks(self, seconds: float) -> Iterator[Channels]:
        size = max(1, int(seconds * self.rate))
        for first in range(0, len(self._samples), size):
            yield to_float(self._samples[first : first + size])


def check_samples(samples: Any) -> npt.NDArray[np.generic]:
    """Returns `samples`. TypeError if it is no array, InputError for a wrong shape or dtype."""
    if not isinstance(samples, np.ndarray):
        raise TypeError(f"samples must be a numpy array, not {type(samples).__name__}")
    if samples.ndim not in (1, 2):
        raise InputError(f"samples of shape {samples.shape}: give [n] or [n, channels]")
    if samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS:
        raise InputError(
            f"samples of shape {samples.shape} would have {samples.shape[1]} channels: "
            "give [n, channels], which may be the transpose"
        )
    if samples.dtype not in (np.int16, np.int32) and not np.issubdtype(samples.dtype, np.floating):
        raise InputError(f"samples of type {samples.dtype}: give int16, int32, or float in -1..1")
    return samples


def check_rate(rate: Any) -> int:
    """Returns the sample rate as an int. TypeError if it is no whole number, InputError if low."""
    try:
        hertz = operator.index(rate)
    except TypeError:
        raise TypeError(f"the sample rate must be a whole number of Hz, not {rate!r}") from None
    if hertz < MIN_RATE:
        raise InputError(f"a sample rate of {hertz} Hz is too low: give it in Hz, such as 16000")
    return hertz
