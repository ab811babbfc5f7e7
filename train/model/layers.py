"""The layers of DeepSpeech2. Each has three calls on the same weights, with the same result:

- `call`: whole sequences in a batch, for training;
- `step`: one chunk of one stream, for export. What the layer must remember goes in and out as
  `states`. Batch norm is folded into the neighbouring weights, and every operation is one that
  LiteRT's delegates run in int8;
- `quantized`: whole sequences in a batch, computed as `step` does. A quantizer rounds as the int8
  graph rounds: for calibration and for quantization-aware training.

Padding on the right never reaches a step that counts: the layers are causal, and a backward
recurrence begins at the end of each clip.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from ds2edge.runtime.specification import BACKWARD
from ds2edge.train.model.cells import RECURRENT_CELLS, FoldedCell
from ds2edge.train.model.convolution import convolve, convolve_space_to_depth
from ds2edge.train.model.quantization import Quantizer
from ds2edge.train.model.tensor import Shapes, States, Tensor


class SequenceNorm(keras.layers.BatchNormalization):
    """Batch norm over all real steps of a batch: padding stays out of the statistics.

    Its `synchronized` may be set: the statistics are then those of all devices of MirroredStrategy.
    """

    def __init__(self, **kwargs: Any) -> None:
        """`kwargs`: as of keras.layers.BatchNormalization."""
        # Keras's momentum of 0.99 would lag epochs behind a short training.
        super().__init__(momentum=0.95, **kwargs)

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """Normalises `x` [..., channels]; bool `valid` marks the real steps.

        `valid` has the shape of `x` without channels; axes of size 1 are broadcast. Its name is not
        `mask`: Keras would pass a mask on to the recurrence, which could not use its cuDNN kernel.
        """
        if training and self.synchronized:
            return self._call_synchronized(x, valid)
        return super().call(x, training=training, mask=valid)

    def _call_synchronized(self, x: Tensor, valid: Tensor) -> Tensor:
        """`call` in training. Keras has no synchronised statistics with a mask."""
        x = ops.cast(x, "float32")
        axes = list(range(len(x.shape) - 1))
        weights = ops.broadcast_to(ops.expand_dims(ops.cast(valid, x.dtype), -1), ops.shape(x))

        def mean_of(values: Tensor) -> Tensor:
            return ops.moments(values, axes, synchronized=True)[0]

        # A mean over all steps, divided by the share of real steps, is the mean over real steps.
        share = mean_of(weights) + keras.config.epsilon()
        mean = mean_of(x * weights) / share
        variance = mean_of((x - mean) ** 2 * weights) / share
        for moving, current in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + current * (1 - self.momentum))
        y = ops.batch_normalization(
            x, mean, variance, -1, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )
        return ops.cast(y, self.compute_dtype)

    def affine(self) -> tuple[Tensor, Tensor]:
        """The scale and shift, each [channels], of the norm with its moving statistics."""
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        return scale, self.beta - self.moving_mean * scale

    def input_spread(self) -> Tensor:
        """The expected largest size [channels] of the inputs, from the moving statistics."""
        return ops.abs(self.moving_mean) + 4 * ops.sqrt(self.moving_variance + self.epsilon)


class NormedDense(keras.layers.Layer):
    """A dense layer and batch norm, which `folded` computes as one product."""

    def __init__(self, units: int, gamma: float = 1.0, **kwargs: Any) -> None:
        """`gamma`: initial standard deviation of the outputs."""
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(units, use_bias=False, name="dense")
        initializer = keras.initializers.Constant(gamma)
        self.norm = SequenceNorm(gamma_initializer=initializer, name="norm")

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, features]."""
        self.dense.build(input_shape)
        self.norm.build((*input_shape[:-1], self.dense.units))
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, features] -> [batch, time, units]; `valid` as for SequenceNorm."""
        return self.norm(self.dense(x), valid=valid, training=training)

    def folded(self, x: Tensor, quantizer: Quantizer, factor: float = 1.0) -> Tensor:
        """[..., features] -> [..., units] with the moving statistics, times `factor`."""
        scale, shift = self.norm.affine()
        kernel = quantizer.weight(self.dense.kernel * scale * factor)
        return ops.matmul(x, kernel) + shift * factor


class StreamingLayer(keras.layers.Layer):
    """A layer with a step form."""

    output_point: str  # the quantization point that its output has passed

    def norms(self) -> list[SequenceNorm]:
        """Its batch norms."""
        return [self.norm]

    def state_shapes(self) -> Shapes:
        """The states between two chunks: names and shapes. A layer's only state may be named ""."""
        raise NotImplementedError

    def state_point(self, key: str, incoming: str) -> str:
        """The quantization point of state `key`; `incoming`: that of the layer's input."""
        return incoming

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """The output for one chunk, and the next states."""
        raise NotImplementedError


class ConvolutionLayer(StreamingLayer):
    """2-D convolution over (time, frequency), batch norm, ReLU6.

    Causal in time, padded as "same" in frequency.
    """

    def __init__(
        self, channels: int, kernel: tuple[int, int], stride: tuple[int, int], **kwargs: Any
    ) -> None:
        """`kernel`, `stride`: (frames, bins); `kwargs`: as of keras.layers.Layer."""
        super().__init__(**kwargs)
        self.kernel_size = kernel
        self.stride = stride
        self.past = kernel[0] - stride[0]  # frames before a chunk that its first output sees
        self.convolution = keras.layers.Conv2D(
            channels, kernel, stride, use_bias=False, name="convolution"
        )
        self.norm = SequenceNorm(name="norm")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, frequency, channels]."""
        _, _, self.bins, self.in_channels = input_shape
        kernel = self.kernel_size[1]
        stride = self.stride[1]
        total = max(0, (-(-self.bins // stride) - 1) * stride + kernel - self.bins)
        self.padding = (total // 2, total - total // 2)
        self.out_bins = (self.bins + total - kernel) // stride + 1
        channels = self.convolution.filters
        self.convolution.build((None, None, self.bins + total, self.in_channels))
        self.norm.build((None, None, self.out_bins, channels))
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, frequency, channels] -> [batch, steps, frequency', channels'].

        `valid` [batch, steps] marks the real steps.
        """
        x = ops.pad(x, ((0, 0), (self.past, 0), (0, 0), (0, 0)))
        x = convolve(x, self.convolution.kernel, self.stride, self.padding)
        return ops.relu6(self.norm(x, valid=ops.expand_dims(valid, -1), training=training))

    def quantized(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """[batch, time, frequency, channels] -> [batch, steps, frequency', channels']."""
        x = ops.pad(x, ((0, 0), (self.past, 0), (0, 0), (0, 0)))
        return self._folded(x, quantizer, convolve)

    def state_shapes(self) -> Shapes:
        """The input frames that the next chunk still sees."""
        return {"": (1, self.past, self.bins, self.in_channels)} if self.past else {}

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[1, time, frequency, channels] -> [1, steps, frequency', channels'], next states."""
        if self.past:
            frames = x.shape[1]
            x = ops.concatenate([states[""], x], axis=1)
            shape = (1, self.past, self.bins, self.in_channels)
            states = {"": ops.slice(x, (0, frames, 0, 0), shape)}
        return self._folded(x, quantizer, convolve_space_to_depth), states

    def _folded(self, x: Tensor, quantizer: Quantizer, convolve: Callable[..., Tensor]) -> Tensor:
        """Convolution with the norm folded in, and ReLU6; `x` begins with the past frames."""
        scale, shift = self.norm.affine()
        kernel = quantizer.weight(self.convolution.kernel * scale)
        y = convolve(x, kernel, self.stride, self.padding) + shift
        return quantizer(self.name, ops.relu6(y))


class RecurrentLayer(StreamingLayer):
    """Sequence-wise batch norm, then a recurrence; bidirectional, the sum of one each way."""

    def __init__(self, cell: str, units: int, direction: str = "forward", **kwargs: Any) -> None:
        """`cell`: a key of RECURRENT_CELLS; `direction`: "forward" or "bidirectional"."""
        super().__init__(**kwargs)
        self.cell = RECURRENT_CELLS[cell]
        self.units = units
        self.norm = SequenceNorm(name="norm")
        self.recurrence = self.cell.layer(units)
        self.backward = self.cell.layer(units) if direction == "bidirectional" else None
        self.output_point = self.name if self.backward else f"{self.name}/h"

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, features]."""
        self.norm.build(input_shape)
        self.recurrence.build(input_shape)
        if self.backward:
            self.backward.build(input_shape)
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, features] -> [batch, time, units].

        `valid` [batch, time] marks the real steps.
        """
        x = self.norm(x, valid=valid, training=training)
        if not self.backward:
            return self.recurrence(x)
        reversal = _reversal(valid)
        backward = self.backward(ops.take_along_axis(x, reversal, axis=1))
        return self.recurrence(x) + ops.take_along_axis(backward, reversal, axis=1)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        forward = self._folded(quantizer).scan(x, quantizer.unroll)
        if not self.backward:
            return forward
        reversal = _reversal(valid)
        x = ops.take_along_axis(x, reversal, axis=1)
        backward = self._folded(quantizer, backward=True).scan(x, quantizer.unroll)
        return quantizer(self.name, forward + ops.take_along_axis(backward, reversal, axis=1))

    def _folded(self, quantizer: Quantizer, backward: bool = False) -> FoldedCell:
        recurrence: Any = self.backward if backward else self.recurrence
        scope = self.name + BACKWARD if backward else self.name
        return FoldedCell(self.cell, recurrence.cell, self.norm.affine(), quantizer, scope)

    def state_shapes(self) -> Shapes:
        """The hidden state, and the memory of an LSTM."""
        return dict.fromkeys(self.cell.states, (1, self.units))

    def state_point(self, key: str, incoming: str) -> str:
        """See StreamingLayer."""
        return f"{self.name}/{key}"

    def step(
        self, x: Tensor, states: States, quantizer: Quantizer, backward: bool = False
    ) -> tuple[Tensor, States]:
        """[steps, features] -> [steps, units], next states.

        Unrolled: int8 calibration does not reach into a loop of the graph. A bidirectional layer
        computes one direction, forward or `backward`, whose steps come in last first.
        """
        cell = self._folded(quantizer, backward)
        projected = cell.project(x)
        outputs = []
        for t in range(x.shape[0]):
            rows = [ops.slice(part, (t, 0), (1, part.shape[1])) for part in projected]
            states = cell.step(rows, states)
            outputs.append(states["h"])
        return concatenate_steps(outputs), states


def _reversal(valid: Tensor) -> Tensor:
    """Indexes [batch, time, 1] that reverse each clip up to its own end; the padding stays last.

    Keras's Bidirectional would begin in the padding. A mask would prevent that, but would also
    prevent the cuDNN kernel.
    """
    steps = ops.arange(ops.shape(valid)[1])
    lengths = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    return ops.expand_dims(ops.where(steps < lengths, lengths - 1 - steps, steps), -1)


class LookaheadLayer(StreamingLayer):
    """Row convolution (arXiv 1512.02595, section 3.7): each unit sees its own next steps.

    A whole sequence loses its last `lookahead` steps, which lack the steps after them. The outputs
    of a stream are late instead: `step` returns at t the output for t - lookahead. Its first
    `lookahead` outputs mean nothing and must be dropped.
    """

    def __init__(self, lookahead: int, spread: Callable[[], Tensor], **kwargs: Any) -> None:
        """`lookahead`: steps of future context.

        `spread`: the expected size [units] of each output. `quantized` and `step` divide by it, so
        that one int8 scale suits all units; the next layer must multiply by it.
        """
        super().__init__(**kwargs)
        self.lookahead = lookahead
        self.spread = spread
        # Keras counts all channels in the fan-in of a depthwise kernel: the signal would vanish.
        initializer = keras.initializers.RandomNormal(stddev=(lookahead + 1) ** -0.5)
        self.convolution = keras.layers.DepthwiseConv1D(
            lookahead + 1, use_bias=False, depthwise_initializer=initializer, name="convolution"
        )
        self.output_point = f"{self.name}/scaled"

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.units = input_shape[-1]
        self.convolution.build((None, None, self.units))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """[batch, time, units] -> [batch, time - lookahead, units]."""
        return self.convolution(x)

    def quantized(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        kernel = self._scaled_kernel(quantizer)
        return quantizer(self.output_point, ops.depthwise_conv(x, kernel, padding="valid"))

    def _scaled_kernel(self, quantizer: Quantizer) -> Tensor:
        kernel = self.convolution.kernel / ops.expand_dims(self.spread(), (0, 2))
        return quantizer.weight(kernel, channels=1)

    def state_shapes(self) -> Shapes:
        """The last inputs."""
        return {"": (self.lookahead, self.units)}

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape, next states."""
        steps = x.shape[0]
        x = ops.concatenate([states[""], x], axis=0)
        last = ops.slice(x, (steps, 0), (self.lookahead, self.units))
        image = ops.reshape(x, (1, self.lookahead + steps, 1, self.units))
        kernel = ops.expand_dims(self._scaled_kernel(quantizer), 1)
        y = ops.depthwise_conv(image, kernel, padding="valid")
        return quantizer(self.output_point, ops.reshape(y, (steps, self.units))), {"": last}


def concatenate_steps(rows: list[Tensor]) -> Tensor:
    """Rows [1, n] -> [len(rows), n], by a tree that joins at most 4 at a time.

    The int8 delegate does not run a wider CONCATENATION.
    """
    while len(rows) > 1:
        rows = [
            ops.concatenate(rows[i : i + 4], axis=0) if i + 1 < len(rows) else rows[i]
            for i in range(0, len(rows), 4)
        ]
    return rows[0]
