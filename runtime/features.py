"""The one front end: a log-power spectrogram in numpy, the same for training, calibration and the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Frames = npt.NDArray[np.float32]

LEAST_POWER = 1e-12  # of a bin: -120 dB
SILENCE = -104.0  # dB of all bins together: below it nothing was recorded


@dataclass(frozen=True)
class FeatureSettings:
    """How sound becomes frames. Defaults: DeepSpeech2's linear spectrogram (arXiv 1512.02595, section 3), 161 bins.

    Levels are relative to a full-scale sine at the centre of a bin (0 dB), so that they do not depend on the window.
    The bounds are fixed: nothing here looks at the utterance as a whole, or it could not be streamed.
    """

    sample_rate: int = 16000  # Hz
    window: int = 320  # samples (20 ms)
    hop: int = 160  # samples (10 ms)
    mel_bands: int = (
        0  # 0: linear bins; otherwise so many triangular bands, equal steps on the HTK mel scale
    )
    floor_db: float = -80.0
    ceiling_db: float = 0.0
    # 0: the bounds are relative to full scale. Otherwise they are relative to the level of the sound so far, which goes
    # so much of the way to a louder frame, and `level_fall` of the way to a softer one: loudness then changes nothing.
    level_rise: float = 0.0
    level_fall: float = 0.003

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window:
            raise ValueError(f"hop ({self.hop}) must be between 1 and window ({self.window})")
        if self.floor_db >= self.ceiling_db:
            raise ValueError(
                f"floor_db ({self.floor_db}) must be below ceiling_db ({self.ceiling_db})"
            )
        if not 0 <= self.level_rise <= 1 or not 0 < self.level_fall <= 1:
            raise ValueError("level_rise must be from 0 to 1, level_fall above 0 and at most 1")

    @property
    def bins(self) -> int:
        """Values per frame."""
        return self.mel_bands or self.window // 2 + 1

    def frames(self, samples: int) -> int:
        """Number of whole windows in so many samples."""
        return max(0, (samples - self.window) // self.hop + 1)


class Features:
    """Samples in, normalised log-power frames out; whole clips by calling it, streams through `accept`.

    Both give the same frames, bit for bit, however a stream is cut: `accept` carries the samples that the next window
    still needs. Arithmetic is float64 up to the last cast, since numpy versions differ in the precision of their
    float32 transform.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """`mean` and `std` (dB, one value per bin) are those of the training set; without them: plain dB."""
        self.settings = settings
        bins = settings.bins
        self._mean = np.zeros(bins) if mean is None else np.asarray(mean, np.float64)
        self._std = np.ones(bins) if std is None else np.asarray(std, np.float64)
        if self._mean.shape != (bins,) or self._std.shape != (bins,):
            raise ValueError(f"feature statistics hold {self._mean.shape} values for {bins} bins")
        self._window = np.hanning(settings.window + 1)[
            :-1
        ]  # periodic, as used for spectral analysis
        self._full_scale = (self._window.sum() / 2) ** 2
        self._bands = mel_filters(settings) if settings.mel_bands else None
        self.reset()

    def reset(self) -> None:
        """Forgets the carried samples: the next `accept` begins a new stream."""
        self._carried = np.zeros(0, np.float32)
        self._level: float | None = None  # dB; None: nothing but silence so far

    def accept(self, samples: Samples) -> Frames:
        """Next piece of a stream, float32 [n] in -1..1 at the settings' rate -> float32 [frames, bins], maybe none."""
        pending = np.concatenate([self._carried, samples])
        frames, self._level = self._measure(pending, self._level)
        self._carried = pending[len(frames) * self.settings.hop :].copy()
        return frames

    def __call__(self, samples: Samples) -> Frames:
        """A whole clip, float32 [n] in -1..1 -> float32 [frames, bins]; what follows the last whole window is left."""
        return self._measure(samples, None)[0]

    def _measure(self, samples: Samples, level: float | None) -> tuple[Frames, float | None]:
        """Frames, and the level after them in dB; `level`: before them, None if only silence was heard."""
        s = self.settings
        if len(samples) < s.window:
            return np.zeros((0, s.bins), np.float32), level
        windows = np.lib.stride_tricks.sliding_window_view(samples, s.window)[:: s.hop]
        spectrum = np.fft.rfft(windows * self._window, axis=-1)
        power = (spectrum.real**2 + spectrum.imag**2) / self._full_scale
        if self._bands is not None:
            # One frame at a time: a matrix product may sum in another order for another number of rows.
            power = np.stack([self._bands @ row for row in power])
        if s.level_rise:
            loudness = 10 * np.log10(np.maximum(power.sum(-1), LEAST_POWER))
            levels, level = self._follow(loudness, level)
            decibels = 10 * np.log10(np.maximum(power, LEAST_POWER)) - levels
            return self.normalise(np.clip(decibels, s.floor_db, s.ceiling_db)), level
        decibels = 10 * np.log10(np.maximum(power, 10 ** (s.floor_db / 10)))
        return self.normalise(np.minimum(decibels, s.ceiling_db)), level

    def _follow(
        self, loudness: npt.NDArray[np.float64], level: float | None
    ) -> tuple[npt.NDArray[np.float64], float | None]:
        """Level [frames, 1] at frames of such loudness in dB, and after them.

        Digital silence does not move it. Before any sound it is infinite: all bins are at the floor.
        """
        levels = np.full((len(loudness), 1), np.inf)
        for t, value in enumerate(loudness.tolist()):
            if value > SILENCE:
                level = value if level is None else level
                share = self.settings.level_rise if value > level else self.settings.level_fall
                level += share * (value - level)
            if level is not None:
                levels[t] = level
        return levels, level

    def normalise(self, levels: npt.NDArray[np.floating[Any]]) -> Frames:
        """Levels in dB [frames, bins], as they are without statistics -> float32 frames, as they are with them."""
        frames: Frames = ((levels - self._mean) / self._std).astype(np.float32)
        return frames


def mel_filters(settings: FeatureSettings) -> npt.NDArray[np.float64]:
    """Triangular filters [mel_bands, window // 2 + 1], peak 1, equally spaced in mel from 0 Hz to half the rate.

    Mel scale of HTK: 2595 log10(1 + f / 700).
    """

    def mel(hertz: float) -> float:
        return 2595 * float(np.log10(1 + hertz / 700))

    edges = 700 * (
        10 ** (np.linspace(0, mel(settings.sample_rate / 2), settings.mel_bands + 2) / 2595) - 1
    )
    bins = np.fft.rfftfreq(settings.window, 1 / settings.sample_rate)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    # A band narrower than a bin would otherwise see nothing at all.
    filters[np.arange(len(filters)), np.abs(bins - centre).argmin(1)] = 1.0
    return np.maximum(filters, 0.0)
