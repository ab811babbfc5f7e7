"""The ranges of a model's quantization points, observed while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from ds2edge.train.model.quantization import (
    SATURATION,
    STEPS,
    SYMMETRIC,
    Quantizer,
    Range,
    nudge,
    symmetric,
)

SEED = 1

# Share of the logits, the lowest ones, that the range leaves out. Their probability is next to
# nothing, and the finer levels help the others.
LOWEST_LOGITS = 0.02

Values = npt.NDArray[np.float32]


class Observer(Quantizer):
    """Records what flows through each point and rounds nothing."""

    unroll = True

    def __init__(self) -> None:
        self._observed: dict[str, _Observed] = {}
        self._rng = np.random.default_rng(SEED)

    def __call__(self, point: str, x: Any, fixed: Range | None = None) -> Any:
        """See Quantizer. Points with a fixed range are not recorded."""
        if fixed is None:
            values = np.ravel(ops.convert_to_numpy(x))
            self._observed.setdefault(point, _Observed()).add(values, self._rng)
        return x

    def ranges(self, method: str) -> dict[str, Range]:
        """The range of every point, by one of `METHODS`."""
        return {
            point: _limit(point, observed, METHODS[method](observed))
            for point, observed in self._observed.items()
        }

    def clipped(self, ranges: dict[str, Range]) -> dict[str, float]:
        """The share of the values that `ranges` clip by more than rounding, by point.

        Points before a function that saturates are left out, and the lowest logits: their clipping
        loses nothing.
        """
        shares = {}
        for point, observed in self._observed.items():
            if _last_part(point) in SATURATION:
                continue
            low, high = ranges[point]
            tolerance = (high - low) / STEPS / 2
            sample = observed.sample
            if point == "logits":
                sample = sample[sample >= low]
            outside = (sample < low - tolerance) | (sample > high + tolerance)
            shares[point] = float(outside.mean())
        return shares


def _limit(point: str, observed: _Observed, chosen: Range) -> Range:
    """The chosen range as int8 needs it.

    It ends where the next function saturates, and leaves out the lowest logits.
    """
    low, high = chosen
    if _last_part(point) in SYMMETRIC:
        return symmetric(low, high)
    if point == "logits":
        low = max(low, float(np.quantile(observed.sample, LOWEST_LOGITS)))
    limit = SATURATION.get(_last_part(point), np.inf)
    return nudge(max(low, -limit), min(high, limit))


def _last_part(point: str) -> str:
    return point.rpartition("/")[2]


class _Observed:
    """The lowest and the highest value at a point, and a random sample of the others."""

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf
        self._samples = [np.zeros(0, np.float32)]

    def add(self, values: Values, rng: np.random.Generator) -> None:
        """Takes every value into account, and one of 64, or 512, into the sample."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        size = min(len(values), max(512, len(values) // 64))
        self._samples.append(values[rng.integers(len(values), size=size)])

    @property
    def sample(self) -> Values:
        self._samples = [np.concatenate(self._samples)]
        return self._samples[0]


def _minmax(observed: _Observed) -> Range:
    return observed.low, observed.high


def _percentile(observed: _Observed) -> Range:
    low, high = np.percentile(observed.sample, [0.01, 99.99])
    return float(low), float(high)


def _mse(observed: _Observed) -> Range:
    """The share of the whole range with the least squared error, of rounding and clipping."""
    sample = observed.sample[:: max(1, len(observed.sample) // 50_000)]
    shares = np.linspace(0.3, 1.0, 36)
    errors = []
    for share in shares:
        low, high = nudge(share * observed.low, share * observed.high)
        scale = (high - low) / STEPS
        rounded = low + scale * np.round((np.clip(sample, low, high) - low) / scale)
        errors.append(float(((rounded - sample) ** 2).mean()))
    best = shares[int(np.argmin(errors))]
    return best * observed.low, best * observed.high


METHODS = {"minmax": _minmax, "percentile": _percentile, "mse": _mse}
