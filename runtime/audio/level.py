"""How loud a recording is, and what to say of one that is very quiet or clipped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.features import Samples

FULL_SCALE = 0.999  # of 1: a sample from there on counts as clipped
MOST_CLIPPED = 0.001  # of all samples
QUIET = -50.0  # dBFS of the loudest second: below it, even speech is near the noise of a sound card
SILENT = -95.0  # dBFS: below it there is nothing but the last bits
WATCHED, WAITED = 10.0, 60.0  # seconds of live sound, before it is judged at all, and called quiet
BEYOND = 2.0  # times full scale: not clipped, but written in another scale


class Level:
    """What was measured of samples so far."""

    def __init__(self, rate: int) -> None:
        """`rate`: of the samples, in Hz."""
        self._rate = rate
        self.samples = self.clipped = 0
        self.energy = self.peak = 0.0
        self._loudest = self._open = self._offset = (
            0.0  # of a second: the most, and sums of the one that is open
        )
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
        return (
            self._open / self._opened - (self._offset / self._opened) ** 2 if self._opened else 0.0
        )

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
            return (
                "is silent: nothing was recorded; is the microphone muted, or another input chosen?"
            )
        if self.loudest < QUIET:
            return f"is very quiet ({self.loudest:.0f} dBFS): record it louder, or nearer to the microphone"
        if self.clipped_share > MOST_CLIPPED:
            return f"is clipped ({100 * self.clipped_share:.1f} % of it at full scale): record it less loud"
        return ""


class LevelWatch:
    """Looks at the level of live sound, and says once what is wrong with it."""

    def __init__(self) -> None:
        self._level: Level | None = None
        self._rate = 0
        self._said = False

    def remark(self, samples: npt.NDArray[np.generic], rate: int) -> str:
        """After the next samples, as `to_float` takes them: what to say now, "" as a rule."""
        if self._said:
            return ""
        if self._level is None or rate != self._rate:
            self._level, self._rate = Level(rate), rate
        channels = to_float(samples)
        self._level.add(channels[:, int(np.square(channels).sum(0).argmax())])
        heard, remark = self._level.samples / rate, self._level.remark()
        if heard < WATCHED or (f"({self._level.loudest:.0f} dBFS)" in remark and heard < WAITED):
            return ""
        if self._level.loudest >= QUIET:  # somebody has spoken; another stretch begins
            self._level = Level(rate)
        self._said = bool(remark)
        return f"the sound {remark}; `ds2edge doctor` says more" if remark else ""


def decibels(power: float) -> float:
    """A mean square as dB of full scale."""
    return 10 * float(np.log10(max(power, 1e-12)))
