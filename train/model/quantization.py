"""What int8 does to a model: rounding, at named points, to the steps that the int8 graph will have there.

A network runs its folded form (`step` and `quantized` of every layer) with one of the quantizers below. They are called
as quantizer(point, x): `point` names a place in the network, the same for every time step, so that all steps of an
unrolled graph share one scale; `x` is what flows there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any
Range = tuple[float, float]
Quantize = Callable[..., Tensor]

STEPS = 255  # between the lowest and the highest int8
# What LiteRT fixes for the outputs of these operations (https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec).
SIGMOID: Range = (0.0, 255 / 256)
TANH: Range = (-1.0, 127 / 128)

# Points that feed tanh or sigmoid, and the input beyond which its output is less than half a level from its limit:
# atanh(1 - 1/256) and logit(1 - 1/512). A wider range would only make the levels inside it coarser.
SATURATION = {"candidate_sums": 3.12, "gate_sums": 6.24, "show_sums": 6.24}


class Quantizer:
    """Leaves everything as it is: the float model."""

    unroll = False  # whether every time step must pass through here in Python

    def __call__(self, point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
        """`x` as it goes on from `point`; `fixed`: the range that the operation before has by itself."""
        return x

    def weight(self, x: Tensor, channels: int = -1) -> Tensor:
        """Weights whose outputs lie along the axis `channels`."""
        return x

    def within(self, scope: str) -> Quantize:
        """The same, for points inside `scope`."""
        return lambda point, x, fixed=None: self(f"{scope}/{point}", x, fixed)


FLOAT = Quantizer()


class FakeQuantizer(Quantizer):
    """Rounds as int8 does: activations to ranges that are known, weights per output channel, symmetrically.

    Gradients pass as if nothing had been rounded, except where a range cuts off (Bengio et al. 2013, arXiv 1308.3432;
    Jacob et al. 2018, arXiv 1712.05877).
    """

    def __init__(self, ranges: dict[str, Range]) -> None:
        self.ranges = ranges

    def __call__(self, point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
        """KeyError for a point without a range."""
        return fake_quantize(x, *(fixed or self.ranges[point]))

    def weight(self, x: Tensor, channels: int = -1) -> Tensor:
        """As the converter does: -127 to 127 for each channel."""
        others = [axis for axis in range(len(x.shape)) if axis != channels % len(x.shape)]
        scale = ops.stop_gradient(
            ops.maximum(ops.max(ops.abs(x), axis=others, keepdims=True), 1e-9) / 127
        )
        return x + ops.stop_gradient(scale * ops.round(x / scale) - x)


def fake_quantize(x: Tensor, low: float, high: float) -> Tensor:
    """`x` on the 256 values from `low` to `high`."""
    scale = (high - low) / STEPS
    inside = ops.clip(x, low, high)
    return inside + ops.stop_gradient(low + scale * ops.round((inside - low) / scale) - inside)


def nudge(low: float, high: float) -> Range:
    """The range, moved by less than a step so that zero is one of its values, as int8 wants; zero is inside."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / STEPS
    below = round(-low / scale)
    return -below * scale, (STEPS - below) * scale
