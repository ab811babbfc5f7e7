"""The layers of DeepSpeech2. Each knows two calls on the same weights, which give the same result:

- `call`: whole sequences in a batch, for training;
- `step`: one chunk of one stream, with what must be remembered going in and out as `states`, for export. Batch norm is
  folded into the neighbouring weights there, and only operations are used that full-int8 LiteRT delegates run.

All layers are causal, so padding on the right never reaches a frame that counts.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import keras
from keras import ops

from ds2edge.train.cells import CELLS

Tensor = Any
States = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


class SequenceNorm(keras.layers.BatchNormalization):
    """Batch norm over all real steps of a batch: padding stays out of the statistics."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(momentum=0.95, **kwargs)  # Keras's 0.99 trails a short training by epochs

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """`valid`: bool, shape of `x` without its channels (or ones). Were it called `mask`, Keras would hand it on to
        the recurrence, at the cost of the cuDNN kernel."""
        return super().call(x, training=training, mask=valid)

    def _moments(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        if not self.synchronized:
            return super()._moments(x, valid)
        # Keras synchronises no masked statistics. The share of real steps makes means over all into means over those.
        weights = ops.broadcast_to(ops.expand_dims(ops.cast(valid, x.dtype), -1), ops.shape(x))
        share, _ = ops.moments(weights, self._reduction_axes, synchronized=True)
        mean, _ = ops.moments(x * weights, self._reduction_axes, synchronized=True)
        mean = mean / (share + keras.config.epsilon())
        variance, _ = ops.moments((x - mean) ** 2 * weights, self._reduction_axes, synchronized=True)
        return mean, variance / (share + keras.config.epsilon())

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, each [channels], that the moving statistics amount to."""
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        return scale, self.beta - self.moving_mean * scale


class ConvolutionLayer(keras.layers.Layer):
    """2-D convolution over (time, frequency), batch norm, ReLU6. Causal in time, "same" in frequency."""

    def __init__(self, channels: int, kernel: tuple[int, int], stride: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size, self.stride = kernel, stride
        self.past = kernel[0] - stride[0]  # frames before a chunk that its first output sees
        self.convolution = keras.layers.Conv2D(channels, kernel, stride, use_bias=False, name="convolution")
        self.norm = SequenceNorm(name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, frequency, channels]."""
        _, _, self.bins, self.in_channels = input_shape
        kernel, stride = self.kernel_size[1], self.stride[1]
        total = max(0, (-(-self.bins // stride) - 1) * stride + kernel - self.bins)
        self.padding = (total // 2, total - total // 2)
        self.out_bins = (self.bins + total - kernel) // stride + 1
        channels = self.convolution.filters
        self.convolution.build((None, None, self.bins + total, self.in_channels))
        self.norm.build((None, None, self.out_bins, channels))
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, frequency, channels] -> [batch, steps, ...]; `valid` [batch, steps] marks the real ones."""
        x = self.convolution(ops.pad(x, ((0, 0), (self.past, 0), self.padding, (0, 0))))
        return ops.relu6(self.norm(x, valid=ops.expand_dims(valid, -1), training=training))

    def state_shapes(self) -> Shapes:
        """The input frames that the next chunk still sees."""
        return {"": (1, self.past, self.bins, self.in_channels)} if self.past else {}

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """[1, time, frequency, channels] -> [1, time // stride, frequency', channels']."""
        if self.past:
            frames = x.shape[1]
            x = ops.concatenate([states[""], x], axis=1)
            states = {"": ops.slice(x, (0, frames, 0, 0), (1, self.past, self.bins, self.in_channels))}
        scale, shift = self.norm.affine()
        x = ops.pad(x, ((0, 0), (0, 0), self.padding, (0, 0)))
        x = ops.conv(x, self.convolution.kernel * scale, strides=self.stride, padding="valid")
        return ops.relu6(x + shift), states


class RecurrentLayer(keras.layers.Layer):
    """Sequence-wise batch norm on the input, then a recurrence forward in time, or the sum of one each way."""

    def __init__(self, cell: str, units: int, direction: str = "forward", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell, self.units = CELLS[cell], units
        self.norm = SequenceNorm(name="norm")
        self.recurrence = self.cell.layer(units)
        self.backward = self.cell.layer(units) if direction == "bidirectional" else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, features]."""
        self.norm.build(input_shape)
        self.recurrence.build(input_shape)
        if self.backward:
            self.backward.build(input_shape)
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, features] -> [batch, time, units]; `valid` [batch, time] marks the real steps."""
        x = self.norm(x, valid=valid, training=training)
        if not self.backward:
            return self.recurrence(x)
        # Each clip is turned about its own end, so that the padding still comes last: Keras's Bidirectional would begin
        # in it, and a mask against that costs the cuDNN kernel.
        steps = ops.arange(ops.shape(x)[1])
        lengths = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
        turned = ops.expand_dims(ops.where(steps < lengths, lengths - 1 - steps, steps), -1)
        backward = self.backward(ops.take_along_axis(x, turned, axis=1))
        return self.recurrence(x) + ops.take_along_axis(backward, turned, axis=1)

    def state_shapes(self) -> Shapes:
        """Hidden state, and the memory of an LSTM."""
        return dict.fromkeys(self.cell.states, (1, self.units))

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """[steps, features] -> [steps, units], unrolled: a loop in the graph would not calibrate to int8.

        Forward only: ValueError for a bidirectional layer, which cannot answer before the end of the clip.
        """
        if self.backward:
            raise ValueError("a bidirectional layer has no step form")
        weights = self.recurrence.cell
        scale, shift = self.norm.affine()
        bias, inside = self.cell.biases(weights.bias, self.units)
        bias = bias + ops.matmul(ops.expand_dims(shift, 0), weights.kernel)[0]
        kernel = ops.expand_dims(scale, 1) * weights.kernel
        ends = list(accumulate((0, *self.cell.groups)))
        columns = [slice(first * self.units, last * self.units) for first, last in pairwise(ends)]
        projected = [ops.matmul(x, kernel[:, part]) + bias[part] for part in columns]
        recurrent_kernels = [weights.recurrent_kernel[:, part] for part in columns]
        outputs = []
        for t in range(x.shape[0]):
            rows = [ops.slice(part, (t, 0), (1, part.shape[1])) for part in projected]
            recurrent = [ops.matmul(states["h"], part) for part in recurrent_kernels]
            states = self.cell.step(rows, recurrent, inside, states)
            outputs.append(states["h"])
        return concatenate_steps(outputs), states


class LookaheadLayer(keras.layers.Layer):
    """Row convolution (arXiv 1512.02595, section 3.7): each unit sees its own next steps.

    A whole sequence loses its last `lookahead` steps, of which too little follows. A stream is late instead: `step`
    emits at t what is meant for t - lookahead, so its first `lookahead` outputs mean nothing and are to be dropped.
    """

    def __init__(self, lookahead: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lookahead = lookahead
        # Keras reckons the fan-in of a depthwise kernel over all channels, which would leave hardly any signal.
        spread = keras.initializers.RandomNormal(stddev=(lookahead + 1) ** -0.5)
        self.convolution = keras.layers.DepthwiseConv1D(
            lookahead + 1, use_bias=False, depthwise_initializer=spread, name="convolution"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.units = input_shape[-1]
        self.convolution.build((None, None, self.units))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """[batch, time, units] -> [batch, time - lookahead, units]."""
        return self.convolution(x)

    def state_shapes(self) -> Shapes:
        """The last inputs."""
        return {"": (self.lookahead, self.units)}

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape."""
        steps = x.shape[0]
        x = ops.concatenate([states[""], x], axis=0)
        rest = ops.slice(x, (steps, 0), (self.lookahead, self.units))
        image = ops.reshape(x, (1, self.lookahead + steps, 1, self.units))
        y = ops.depthwise_conv(image, ops.expand_dims(self.convolution.kernel, 1), padding="valid")
        return ops.reshape(y, (steps, self.units)), {"": rest}


def concatenate_steps(rows: list[Tensor]) -> Tensor:
    """Rows [1, n] to [len(rows), n] by a tree of at most 4 at a time: wider CONCATENATION leaves the int8 delegate."""
    while len(rows) > 1:
        rows = [
            ops.concatenate(rows[i : i + 4], axis=0) if i + 1 < len(rows) else rows[i] for i in range(0, len(rows), 4)
        ]
    return rows[0]
