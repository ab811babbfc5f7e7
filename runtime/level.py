"""How loud a recording is, and what to say of one that is very quiet or clipped."""

from __future__ import annotations

import numpy as np

from ds2edge.runtime.features import Samples

FULL_SCALE = 0.999  # of 1: a sample from there on counts as clipped
MOST_CLIPPED = 0.001  # of all samples
QUIET = -50.0  # dBFS of the loudest second: below it, even speech is near the noise of a sound card
SILENT = -95.0  # dBFS: below it there is nothing but the last bits
BEYOND = 2.0  # times full scale: not clipped, but written in another scale


class Level:
    """What was measured of samples so far."""

    def __init__(self, rate: int) -> None:
        """`rate`: of the samples, in Hz."""
        self._rate = rate
        self.samples = self.clipped = 0
        self.energy = self.peak = 0.0
        self._loudest = self._open = self._offset = 0.0  # of a second: the most, and sums of the one that is open
        self._opened = 0  # samples of the second that is being filled

    def add(self, samples: Samples) -> None:
        """Measures the next samples, float32 [n]."""
        if not len(samples):
            return
        size = np.abs(samples)
        self.peak = max(self.peak, float(size.max()))
        self.clipped += int(np.count_nonzero(size >= FULL_SCALE))
        energy = float(np.square(samples, dtype=np.float64).sum())
        self.samples += len(samples)
        self.energy += energy
        self._open += energy
        self._offset += float(samples.sum(dtype=np.float64))
        self._opened += len(samples)
        if self._opened >= self._rate / 2:
            self._close()

    def _close(self) -> None:
        self._loudest = max(self._loudest, self._power())
        self._open, self._offset, self._opened = 0.0, 0.0, 0

    def _power(self) -> float:
        """Of the open second, without a constant that a cheap converter adds."""
        return self._open / self._opened - (self._offset / self._opened) ** 2 if self._opened else 0.0

    @property
    def mean(self) -> float:
        """Root mean square of all samples, dBFS."""
        return decibels(self.energy / max(self.samples, 1))

    @property
    def loudest(self) -> float:
        """Root mean square of the loudest second or so, dBFS: that of speech, whatever pauses there are."""
        return decibels(self._loudest or self._power())

    @property
    def clipped_share(self) -> float:
        """Of all samples."""
        return self.clipped / max(self.samples, 1)

    def remark(self) -> str:
        """What a person should know of this level; "" where it is as it should be."""
        if not self.samples:
            return ""
        if self.peak > BEYOND:
            return f"its samples go up to {self.peak:.0f} times full scale: write them from -1 to 1"
        if self.loudest < SILENT:
            return "is silent: nothing was recorded; is the microphone muted, or another input chosen?"
        if self.loudest < QUIET:
            return f"is very quiet ({self.loudest:.0f} dBFS): record it louder, or nearer to the microphone"
        if self.clipped_share > MOST_CLIPPED:
            return f"is clipped ({100 * self.clipped_share:.1f} % of it at full scale): record it less loud"
        return ""


def decibels(power: float) -> float:
    """A mean square as dB of full scale."""
    return 10 * float(np.log10(max(power, 1e-12)))
