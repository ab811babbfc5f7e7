"""Several channels become one: the silent ones are left out, one that is another's negative is turned over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.features import Samples

Weights = npt.NDArray[np.float64]  # one a channel

SILENT = 10 ** (-30 / 10)  # of the loudest channel's power: one below it says nothing
INVERTED = -0.3  # correlation with the loudest channel, below which a channel is turned over
CANCELLED = (
    0.2  # of the power with the right signs: what has less without them has cancelled itself
)
HOP = 0.02  # seconds of a stream between two looks at its channels
KEPT = 0.998  # of what was measured stays from one look to the next: about ten seconds


def to_float(samples: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """[n] or [n, channels], int16, int32 or float -> float32 [n, channels] in -1..1; what is not finite: silence."""
    if samples.dtype in (np.int16, np.int32):
        samples = samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    elif not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples of type {samples.dtype}: give int16, int32 or float in -1..1")
    floats = samples.astype(np.float32, copy=False)
    floats = floats[:, None] if floats.ndim == 1 else floats
    return floats if np.isfinite(floats).all() else np.nan_to_num(floats, posinf=0.0, neginf=0.0)


class Mixture:
    """What is known of channels so far, and the weights that it leads to."""

    def __init__(self, channels: int) -> None:
        self._count = 0.0
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))
        self._signs = np.ones(channels)
        self.weights: Weights = np.full(channels, 1 / channels)
        self.cancelled = False  # whether the plain mean would have lost the sound

    def measure(self, samples: npt.NDArray[np.float32], kept: float = 1.0) -> None:
        """Adds samples [n, channels]; `kept`: how much of what was measured before still counts."""
        values = samples.astype(np.float64)
        self._count = kept * self._count + len(values)
        self._sum = kept * self._sum + values.sum(0)
        self._products = kept * self._products + values.T @ values

    def weigh(self) -> Weights:
        """The weights: the sum of the live channels, as loud as the loudest of them."""
        mean = self._sum / max(self._count, 1)
        covariance = self._products / max(self._count, 1) - np.outer(mean, mean)
        power = np.maximum(covariance.diagonal(), 0.0)
        loudest = int(power.argmax())
        if power[loudest] > 0:
            scale = np.sqrt(np.maximum(power * power[loudest], 1e-30))
            alike = covariance[loudest] / scale * self._signs * self._signs[loudest]
            self._signs = np.where(alike < INVERTED, -self._signs, self._signs)
            sum_of = np.where(power > SILENT * power[loudest], self._signs, 0.0)
            mixed = float(sum_of @ covariance @ sum_of)
            self.weights = sum_of * np.sqrt(power[loudest] / max(mixed, power[loudest]))
            live = np.abs(sum_of)
            self.cancelled = float(live @ covariance @ live) < CANCELLED * mixed
        return self.weights


class Mixer:
    """A stream of channels as one. How it is cut into calls changes nothing; weights move without a click."""

    def __init__(self, rate: int) -> None:
        """`rate` of the stream, in Hz."""
        self._hop = max(1, int(HOP * rate))
        self._mixture: Mixture | None = None
        self._pending = np.zeros((0, 1), np.float32)

    def accept(self, samples: npt.NDArray[np.generic]) -> Samples:
        """Next samples, as `to_float` takes them -> float32 [m]; several channels come up to `HOP` late."""
        floats = to_float(samples)
        channels = floats.shape[1]
        if channels != self._pending.shape[1]:
            ended, self._pending = self.finish(), np.zeros((0, channels), np.float32)
            return np.concatenate([ended, self.accept(floats)])
        if channels == 1:
            return floats[:, 0]
        if self._mixture is None:
            self._mixture = Mixture(channels)
        pending = np.concatenate([self._pending, floats])
        whole = len(pending) - len(pending) % self._hop
        self._pending = pending[whole:]
        pieces = [
            self._mix(pending[first : first + self._hop]) for first in range(0, whole, self._hop)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """What is still held; the next sound is a new one."""
        rest = np.zeros(0, np.float32)
        if self._mixture is not None and len(self._pending):
            rest = self._mix(self._pending)
        self._mixture, self._pending = None, np.zeros((0, 1), np.float32)
        return rest

    def _mix(self, samples: npt.NDArray[np.float32]) -> Samples:
        assert self._mixture is not None
        before = self._mixture.weights
        self._mixture.measure(samples, KEPT)
        after = self._mixture.weigh()
        rise = (np.arange(1, len(samples) + 1) / len(samples))[:, None]
        mixed: Samples = (samples * (before + rise * (after - before))).sum(1).astype(np.float32)
        return mixed
