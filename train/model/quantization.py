"""Int8 rounding at named points of a model, placed where the int8 graph rounds.

`step` and `quantized` of every layer pass their tensors through one of the quantizers below. They
call quantizer(point, x), where `point` names a place in the network. A place has one name for all
time steps, so all steps of an unrolled graph share one scale.

Checkpoints of quantization-aware training store their ranges by these names: do not rename a point.
"""

from __future__ import annotations

from typing import Protocol

from keras import ops

from ds2edge.train.model.tensor import Tensor

Range = tuple[float, float]  # lowest and highest value

STEPS = 255  # between the lowest and the highest int8
# LiteRT fixes the output ranges of these two operations:
# https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
SIGMOID: Range = (0.0, 255 / 256)
TANH: Range = (-1.0, 127 / 128)

# Last part of the name of each point that feeds tanh or sigmoid, and the input beyond which the
# output is less than half a level from its limit: atanh(1 - 1/256) and logit(1 - 1/512).
# A wider range would only make the levels inside it coarser.
SATURATION = {"candidate_sums": 3.12, "gate_sums": 6.24, "show_sums": 6.24}

# Last part of the name of each point whose range is symmetric, so that int8 0 stands for 0. The
# delegate runs a BATCH_MATMUL only if its second input is such a tensor.
SYMMETRIC = ("keys", "values")


class Quantize(Protocol):
    """A quantizer whose points lie within one layer."""

    def __call__(self, point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
        """`x` as rounded at `point`; see Quantizer."""


class Quantizer:
    """Base class; by itself it rounds nothing, as the float model."""

    unroll = False  # whether every time step must pass through here in Python

    def __call__(self, point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
        """`x` as rounded at `point`.

        `fixed`: the range that LiteRT prescribes for the operation before; None: it has no such
        range.
        """
        return x

    def relu(self, point: str, x: Tensor) -> Tensor:
        """The ReLU of `x` as rounded at `point`."""
        return self(point, ops.relu(x))

    def clip(self, point: str, x: Tensor, limit: float) -> Tensor:
        """`x` within -limit..limit, as rounded at `point`."""
        return self(point, ops.clip(x, -limit, limit))

    def weight(self, x: Tensor, channels: int = -1) -> Tensor:
        """`x` as rounded weights; `channels` is the axis of their output channels."""
        return x

    def within(self, scope: str) -> Quantize:
        """This quantizer for the points of layer `scope`."""

        def quantize(point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
            return self(f"{scope}/{point}", x, fixed)

        return quantize


FLOAT = Quantizer()


class FakeQuantizer(Quantizer):
    """Rounds as int8 does: activations to known ranges, weights symmetrically per output channel.

    Gradients pass as if nothing had been rounded, except where a range clips (Bengio et al. 2013,
    arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877).
    """

    def __init__(self, ranges: dict[str, Range]) -> None:
        """`ranges`: by point."""
        self.ranges = ranges

    def __call__(self, point: str, x: Tensor, fixed: Range | None = None) -> Tensor:
        """See Quantizer. KeyError for a point without a range."""
        return fake_quantize(x, *(fixed or self.ranges[point]))

    def weight(self, x: Tensor, channels: int = -1) -> Tensor:
        """As the converter rounds weights: to integers from -127 to 127, scaled per channel."""
        others = [axis for axis in range(len(x.shape)) if axis != channels % len(x.shape)]
        largest = ops.max(ops.abs(x), axis=others, keepdims=True)
        scale = ops.stop_gradient(ops.maximum(largest, 1e-9) / 127)
        return x + ops.stop_gradient(scale * ops.round(x / scale) - x)


def fake_quantize(x: Tensor, low: float, high: float) -> Tensor:
    """`x` rounded to the 256 levels from `low` to `high`."""
    scale = (high - low) / STEPS
    clipped = ops.clip(x, low, high)
    return clipped + ops.stop_gradient(low + scale * ops.round((clipped - low) / scale) - clipped)


def symmetric(low: float, high: float) -> Range:
    """The range widened to the levels from -128 to 127 of one scale."""
    scale = max(-low, high, 1e-6) / 127
    return -128 * scale, 127 * scale


def nudge(low: float, high: float) -> Range:
    """The range widened to include zero, then moved by less than a level so that zero is a level.

    Int8 needs an exact zero.
    """
    low = min(low, 0.0)
    high = max(high, 0.0)
    scale = max(high - low, 1e-6) / STEPS
    levels_below_zero = round(-low / scale)
    return -levels_below_zero * scale, (STEPS - levels_below_zero) * scale
