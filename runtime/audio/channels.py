"""Downmixing to mono that skips silent channels and flips inverted ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.features import Samples

Channels = npt.NDArray[np.float32]  # [samples, channels] in -1..1
Weights = npt.NDArray[np.float64]  # [channels]

MAX_CHANNELS = 64  # that the kit reads
# A channel with less than this share of the loudest channel's power counts as silent.
SILENT_POWER_SHARE = 10 ** (-30 / 10)
# A channel whose correlation with the loudest is below this counts as inverted.
INVERTED_CORRELATION = -0.3
# The plain sum cancels the sound if it keeps less than this share of the power.
CANCELLED_POWER_SHARE = 0.2
# Seconds between two updates of a stream's weights.
UPDATE_SECONDS = 0.02
# Share of the older statistics that stays at each update: a memory of about ten seconds.
STREAM_MEMORY = 0.998


def to_float(samples: npt.NDArray[np.generic]) -> Channels:
    """Converts samples to float32 [n, channels] in -1..1.

    Takes int16, int32 or float samples [n] or [n, channels]. NaN and infinity become 0. Raises
    ValueError for any other type.
    """
    if samples.dtype in (np.int16, np.int32):
        samples = samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    elif not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples of type {samples.dtype}: give int16, int32 or float in -1..1")
    floats = samples.astype(np.float32, copy=False)
    floats = floats[:, None] if floats.ndim == 1 else floats
    return floats if np.isfinite(floats).all() else np.nan_to_num(floats, posinf=0.0, neginf=0.0)


class ChannelStatistics:
    """Measures the channels of a recording and derives the weights that mix them to mono."""

    def __init__(self, channels: int) -> None:
        """`channels`: number of channels. The weights start as the plain mean."""
        self._count = 0.0
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))
        self._signs = np.ones(channels)
        self.weights: Weights = np.full(channels, 1 / channels)
        self.cancelled = False  # whether the plain mean would have cancelled the sound

    @classmethod
    def of(cls, blocks: Iterable[Channels], channels: int) -> ChannelStatistics:
        """Measures a whole recording, given as blocks [n, channels]."""
        statistics = cls(channels)
        for block in blocks:
            statistics.add(block)
        statistics.update_weights()
        return statistics

    def add(self, samples: Channels, memory: float = 1.0) -> None:
        """Measures samples [n, channels]. `memory`: share of the older statistics that stays."""
        values = samples.astype(np.float64)
        self._count = memory * self._count + len(values)
        self._sum = memory * self._sum + values.sum(0)
        self._products = memory * self._products + values.T @ values

    def update_weights(self) -> Weights:
        """Returns new weights: the sum of the live channels, as loud as the loudest of them."""
        mean = self._sum / max(self._count, 1)
        covariance = self._products / max(self._count, 1) - np.outer(mean, mean)
        power = np.maximum(covariance.diagonal(), 0.0)
        loudest = int(power.argmax())
        if power[loudest] == 0:
            return self.weights
        scale = np.sqrt(np.maximum(power * power[loudest], 1e-30))
        correlation = covariance[loudest] / scale * self._signs * self._signs[loudest]
        self._signs = np.where(correlation < INVERTED_CORRELATION, -self._signs, self._signs)
        live = power > SILENT_POWER_SHARE * power[loudest]
        signs = np.where(live, self._signs, 0.0)
        mixed_power = float(signs @ covariance @ signs)
        plain_power = float(live @ covariance @ live)
        self.weights = signs * np.sqrt(power[loudest] / max(mixed_power, power[loudest]))
        self.cancelled = plain_power < CANCELLED_POWER_SHARE * mixed_power
        return self.weights


def mix(samples: Channels, weights: Weights) -> Samples:
    """Returns samples [n, channels] as mono [n]."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    mono: Samples = (samples * weights).sum(1).astype(np.float32)
    return mono


class StreamMixer:
    """Mixes a stream to mono. The weights follow the sound and change without clicks.

    The result does not depend on how the stream is split into calls.
    """

    def __init__(self, rate: int) -> None:
        """`rate`: sample rate of the stream in Hz."""
        self._update_samples = max(1, int(UPDATE_SECONDS * rate))
        self._statistics: ChannelStatistics | None = None
        self._pending: Channels = np.zeros((0, 1), np.float32)

    def accept(self, samples: npt.NDArray[np.generic]) -> Samples:
        """Takes samples as `to_float` does and returns float32 [m].

        Mono passes through at once. Several channels come out up to `UPDATE_SECONDS` late.
        """
        floats = to_float(samples)
        channels = floats.shape[1]
        if channels != self._pending.shape[1]:
            rest = self.finish()
            self._pending = np.zeros((0, channels), np.float32)
            return np.concatenate([rest, self.accept(floats)])
        if channels == 1:
            return floats[:, 0]
        pending = np.concatenate([self._pending, floats])
        whole = len(pending) - len(pending) % self._update_samples
        self._pending = pending[whole:]
        pieces = [
            self._mix(pending[first : first + self._update_samples])
            for first in range(0, whole, self._update_samples)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """Returns the samples that are still pending and forgets the statistics."""
        rest = self._mix(self._pending) if len(self._pending) else np.zeros(0, np.float32)
        self._statistics = None
        self._pending = np.zeros((0, 1), np.float32)
        return rest

    def _mix(self, samples: Channels) -> Samples:
        if self._statistics is None:
            self._statistics = ChannelStatistics(samples.shape[1])
        before = self._statistics.weights
        self._statistics.add(samples, STREAM_MEMORY)
        after = self._statistics.update_weights()
        ramp = (np.arange(1, len(samples) + 1) / len(samples))[:, None]
        weights = before + ramp * (after - before)
        mixed: Samples = (samples * weights).sum(1).astype(np.float32)
        return mixed
