"""The front end: a log-power spectrogram in numpy, the same for training and on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Frames = npt.NDArray[np.float32]

MIN_POWER = 1e-12  # power floor of one bin: -120 dB
SILENCE_DB = -104.0  # a frame whose total power is lower is digital silence


@dataclass(frozen=True)
class FeatureSettings:
    """How samples become frames.

    The defaults are DeepSpeech2's linear spectrogram (arXiv 1512.02595, section 3) with 161 bins.
    Levels are in dB relative to a full-scale sine at the centre of a bin, so they do not depend on
    the window. No setting needs the whole utterance, so every front end can stream.
    """

    sample_rate: int = 16000  # Hz
    window: int = 320  # samples (20 ms)
    hop: int = 160  # samples (10 ms)
    # 0: linear bins. Otherwise the number of triangular bands, equally spaced on the HTK mel scale.
    mel_bands: int = 0
    # Lower and upper bound of a level in dB.
    floor_db: float = -80.0
    ceiling_db: float = 0.0
    # 0: the bounds are relative to full scale. Otherwise they are relative to a running level. Each
    # louder frame moves it by this share of the difference, each softer frame by `level_fall`. The
    # frames then do not depend on the loudness of the recording.
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
        """The number of whole windows in this many samples."""
        return max(0, (samples - self.window) // self.hop + 1)

    def step_seconds(self, time_stride: int) -> float:
        """Seconds of audio per output step of a network that reads `time_stride` frames a step."""
        return time_stride * self.hop / self.sample_rate


class Padding(NamedTuple):
    """The silence around a clip that a network needs.

    Training adds it to its clips, and `Stream` to its samples, so that both compute the same
    logits from the first step to the last.
    """

    warmup: int  # output steps of silence before the first sample
    time_stride: int  # frames per output step
    delay: int  # output steps by which the network is late: silence after the last sample
    chunk: int = 1  # the padded clip has a multiple of this many output steps

    def before(self, settings: FeatureSettings) -> int:
        """The number of zeros to put before a clip."""
        return self.warmup * self.time_stride * settings.hop

    def after(self, samples: int, settings: FeatureSettings) -> int:
        """The number of zeros to append to a clip of this many samples.

        The padded clip makes whole output steps: at least one, as many as it takes to cover the
        last sample, then `delay` more, and then as many as fill the last `chunk`.
        """
        # Frames that it takes to cover the last sample.
        frames = 1 + max(0, -(-(samples - settings.window) // settings.hop))
        steps = -(-frames // self.time_stride) + self.delay
        steps += -(self.warmup + steps) % self.chunk
        return (steps * self.time_stride - 1) * settings.hop + settings.window - samples


class Features:
    """Turns samples into normalised log-power frames.

    Call it with a whole clip, or feed it a stream with `accept`. Both give the same frames, bit
    for bit, however the stream is cut: `accept` keeps the samples that the next window needs.
    Arithmetic is float64 up to the last cast, because the precision of numpy's float32 transform
    differs from version to version.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """`mean` and `std`: statistics of the training set in dB, one value per bin.

        Without them, the frames are plain levels in dB.
        """
        self.settings = settings
        bins = settings.bins
        self._mean = np.zeros(bins) if mean is None else np.asarray(mean, np.float64)
        self._std = np.ones(bins) if std is None else np.asarray(std, np.float64)
        if self._mean.shape != (bins,) or self._std.shape != (bins,):
            raise ValueError(f"feature statistics hold {self._mean.shape} values for {bins} bins")
        # A periodic Hann window, as is usual for spectral analysis.
        self._window = np.hanning(settings.window + 1)[:-1]
        self._full_scale = (self._window.sum() / 2) ** 2
        self._bands = mel_filters(settings) if settings.mel_bands else None
        self.reset()

    def reset(self) -> None:
        """Drops the carried samples: the next `accept` begins a new stream."""
        self._carried = np.zeros(0, np.float32)
        self._level: float | None = None  # dB; None while the stream is digital silence

    def accept(self, samples: Samples) -> Frames:
        """Takes the next samples of a stream: float32 [n] in -1..1 at the settings' rate.

        Returns float32 [frames, bins]; there may be no frame.
        """
        pending = np.concatenate([self._carried, samples])
        frames, self._level = self._measure(pending, self._level)
        self._carried = pending[len(frames) * self.settings.hop :].copy()
        return frames

    def __call__(self, samples: Samples) -> Frames:
        """Measures a whole clip: float32 [n] in -1..1 -> float32 [frames, bins].

        Samples after the last whole window are ignored.
        """
        return self._measure(samples, None)[0]

    def padded(self, samples: Samples, padding: Padding) -> Frames:
        """Measures a whole clip with silence around it: float32 [n] -> float32 [frames, bins]."""
        after = padding.after(len(samples), self.settings)
        return self(np.pad(samples, (padding.before(self.settings), after)))

    def normalise(self, levels: npt.NDArray[np.floating[Any]]) -> Frames:
        """Subtracts the mean and divides by the standard deviation: dB -> float32, [frames, bins].

        For levels that were measured without statistics.
        """
        frames: Frames = ((levels - self._mean) / self._std).astype(np.float32)
        return frames

    def _measure(self, samples: Samples, level: float | None) -> tuple[Frames, float | None]:
        """Returns the frames, and the running level after them; `level` is the one before them."""
        s = self.settings
        if len(samples) < s.window:
            return np.zeros((0, s.bins), np.float32), level
        power = self._power(samples)
        if not s.level_rise:
            decibels = 10 * np.log10(np.maximum(power, 10 ** (s.floor_db / 10)))
            return self.normalise(np.minimum(decibels, s.ceiling_db)), level
        loudness = 10 * np.log10(np.maximum(power.sum(-1), MIN_POWER))
        levels, level = self._follow(loudness, level)
        decibels = 10 * np.log10(np.maximum(power, MIN_POWER)) - levels
        return self.normalise(np.clip(decibels, s.floor_db, s.ceiling_db)), level

    def _power(self, samples: Samples) -> npt.NDArray[np.float64]:
        """Power [frames, bins] relative to a full-scale sine."""
        s = self.settings
        windows = np.lib.stride_tricks.sliding_window_view(samples, s.window)[:: s.hop]
        spectrum = np.fft.rfft(windows * self._window, axis=-1)
        power: npt.NDArray[np.float64] = (spectrum.real**2 + spectrum.imag**2) / self._full_scale
        if self._bands is not None:
            # One frame at a time: the order in which a matrix product sums depends on the number
            # of rows.
            power = np.stack([self._bands @ row for row in power])
        return power

    def _follow(
        self, loudness: npt.NDArray[np.float64], level: float | None
    ) -> tuple[npt.NDArray[np.float64], float | None]:
        """Returns the running level [frames, 1] in dB at each frame, and after the last one.

        Digital silence does not move the level. Before the first sound the level is infinite, so
        that all bins are at the floor.
        """
        levels = np.full((len(loudness), 1), np.inf)
        for t, value in enumerate(loudness.tolist()):
            if value > SILENCE_DB:
                level = value if level is None else level
                share = self.settings.level_rise if value > level else self.settings.level_fall
                level += share * (value - level)
            if level is not None:
                levels[t] = level
        return levels, level


def mel_filters(settings: FeatureSettings) -> npt.NDArray[np.float64]:
    """Triangular filters [mel_bands, window // 2 + 1] with peak 1.

    They are equally spaced from 0 Hz to half the sample rate on the mel scale of HTK:
    2595 log10(1 + f / 700).
    """

    def mel(hertz: float) -> float:
        return 2595 * float(np.log10(1 + hertz / 700))

    edges = 700 * (
        10 ** (np.linspace(0, mel(settings.sample_rate / 2), settings.mel_bands + 2) / 2595) - 1
    )
    bins = np.fft.rfftfreq(settings.window, 1 / settings.sample_rate)
    left = edges[:-2, None]
    centre = edges[1:-1, None]
    right = edges[2:, None]
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    # A band narrower than a bin would otherwise be zero everywhere.
    filters[np.arange(len(filters)), np.abs(bins - centre).argmin(1)] = 1.0
    return np.maximum(filters, 0.0)
