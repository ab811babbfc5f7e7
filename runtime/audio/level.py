"""Measures how loud a recording is, and warns if it is silent, very quiet or clipped."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.features import Samples

FULL_SCALE = 0.999  # a sample of this size or more counts as clipped
MAX_CLIPPED_SHARE = 0.001  # of all samples
# dBFS of the loudest second. Below it, even speech is close to the noise of a sound card.
QUIET = -50.0
# The same for models whose front end does not adapt to the level: they lose words from about 10 dB
# below the clips that they were trained on.
QUIET_FOR_FIXED_LEVEL = -32.0
# dBFS. Below it, there is nothing but noise in the last bits.
SILENT = -95.0
# Peak above which samples are not clipped but on another scale, such as that of int16.
MAX_PEAK = 2.0
LIVE_SECONDS = 10.0  # of live sound before the first warning
LIVE_QUIET_SECONDS = 60.0  # the same for "very quiet": perhaps nobody has spoken yet


class LevelProblem(Enum):
    """What can be wrong with the level of a recording."""

    WRONG_SCALE = "wrong scale"
    SILENT = "silent"
    QUIET = "quiet"
    CLIPPED = "clipped"


class LevelMeter:
    """Measures the level of mono samples, block by block."""

    def __init__(self, rate: int) -> None:
        """`rate`: sample rate in Hz."""
        self._rate = rate
        self.samples = 0
        self.clipped = 0
        self.energy = 0.0
        self.peak = 0.0
        self._loudest = 0.0  # mean power of the loudest second so far
        self._start_second()

    def _start_second(self) -> None:
        self._second_energy = 0.0
        self._second_sum = 0.0
        self._second_samples = 0

    def add(self, samples: Samples) -> None:
        """Measures the next samples, float32 [n]."""
        if not len(samples):
            return
        size = np.abs(samples)
        energy = float(np.square(samples, dtype=np.float64).sum())
        self.peak = max(self.peak, float(size.max()))
        self.clipped += int(np.count_nonzero(size >= FULL_SCALE))
        self.samples += len(samples)
        self.energy += energy
        self._second_energy += energy
        self._second_sum += float(samples.sum(dtype=np.float64))
        self._second_samples += len(samples)
        if self._second_samples >= self._rate / 2:
            self._loudest = max(self._loudest, self._second_power())
            self._start_second()

    def _second_power(self) -> float:
        """Mean power of the current second without the constant offset of cheap converters."""
        if not self._second_samples:
            return 0.0
        offset = self._second_sum / self._second_samples
        return self._second_energy / self._second_samples - offset**2

    @property
    def mean(self) -> float:
        """RMS level of all samples in dBFS."""
        return decibels(self.energy / max(self.samples, 1))

    @property
    def loudest(self) -> float:
        """RMS level of the loudest second or half second in dBFS: that of speech, not of pauses."""
        return decibels(self._loudest or self._second_power())

    @property
    def clipped_share(self) -> float:
        """Share of the samples that are clipped, 0..1."""
        return self.clipped / max(self.samples, 1)

    def problem(self, quiet: float = QUIET) -> LevelProblem | None:
        """Returns what is wrong with the level, None if it is fine.

        `quiet`: dBFS of the loudest second below which a recording is very quiet.
        """
        if not self.samples:
            return None
        if self.peak > MAX_PEAK:
            return LevelProblem.WRONG_SCALE
        if self.loudest < SILENT:
            return LevelProblem.SILENT
        if self.loudest < quiet:
            return LevelProblem.QUIET
        if self.clipped_share > MAX_CLIPPED_SHARE:
            return LevelProblem.CLIPPED
        return None

    def warning(self, quiet: float = QUIET) -> str:
        """Returns what is wrong and what to do, as a predicate ("is clipped ..."), or "".

        `quiet`: as for `problem`.
        """
        problem = self.problem(quiet)
        if problem is LevelProblem.WRONG_SCALE:
            return f"has samples up to {self.peak:.0f} times full scale: scale them to -1..1"
        if problem is LevelProblem.SILENT:
            return "is silent: check that the microphone is on and the right input is selected"
        if problem is LevelProblem.QUIET:
            return (
                f"is {'very ' if self.loudest < QUIET else ''}quiet ({self.loudest:.0f} dBFS): "
                "raise the recording level or speak closer to the microphone"
            )
        if problem is LevelProblem.CLIPPED:
            share = 100 * self.clipped_share
            return f"is clipped ({share:.1f} % at full scale): lower the recording level"
        return ""


class LiveLevelMonitor:
    """Watches the level of live sound and warns once."""

    def __init__(self) -> None:
        self._meter: LevelMeter | None = None
        self._rate = 0
        self._warned = False

    def warning(self, samples: npt.NDArray[np.generic], rate: int) -> str:
        """Measures the next samples, as `to_float` takes them, and returns a warning or ""."""
        if self._warned:
            return ""
        if self._meter is None or rate != self._rate:
            self._meter = LevelMeter(rate)
            self._rate = rate
        channels = to_float(samples)
        loudest_channel = int(np.square(channels).sum(0).argmax())
        self._meter.add(channels[:, loudest_channel])
        problem = self._meter.problem()
        needed = LIVE_QUIET_SECONDS if problem is LevelProblem.QUIET else LIVE_SECONDS
        if self._meter.samples < needed * rate:
            return ""
        warning = self._meter.warning()
        if self._meter.loudest >= QUIET:  # someone has spoken: measure the next stretch afresh
            self._meter = LevelMeter(rate)
        self._warned = problem is not None
        return f"the sound {warning}; run `ds2edge doctor` for details" if warning else ""


def decibels(power: float) -> float:
    """Converts a mean power (1 at full scale) to dBFS."""
    return 10 * float(np.log10(max(power, 1e-12)))
