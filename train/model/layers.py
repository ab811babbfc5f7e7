"""The layers of DeepSpeech2. Each knows three calls on the same weights, which give the same result:

- `call`: whole sequences in a batch, for training;
- `step`: one chunk of one stream, with what must be remembered going in and out as `states`, for export. Batch norm is
  folded into the neighbouring weights there, and only operations are used that full-int8 LiteRT delegates run;
- `quantized`: whole sequences in a batch, computed as `step` does and, given a quantizer, rounded as the int8 graph
  rounds: for calibration and for training with int8 in mind.

All layers are causal, so padding on the right never reaches a frame that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

import keras
from keras import ops

from ds2edge.train.model.cells import CELLS
from ds2edge.train.model.convolution import convolve, convolve_in_lanes
from ds2edge.train.model.quantization import Quantize, Quantizer

Tensor = Any
States = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

BACKWARD = "_backward"  # what the names of a layer's other direction end in


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
        variance, _ = ops.moments(
            (x - mean) ** 2 * weights, self._reduction_axes, synchronized=True
        )
        return mean, variance / (share + keras.config.epsilon())

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, each [channels], that the moving statistics amount to."""
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        return scale, self.beta - self.moving_mean * scale


class ConvolutionLayer(keras.layers.Layer):
    """2-D convolution over (time, frequency), batch norm, ReLU6. Causal in time, "same" in frequency."""

    def __init__(
        self, channels: int, kernel: tuple[int, int], stride: tuple[int, int], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size, self.stride = kernel, stride
        self.past = kernel[0] - stride[0]  # frames before a chunk that its first output sees
        self.convolution = keras.layers.Conv2D(
            channels, kernel, stride, use_bias=False, name="convolution"
        )
        self.norm = SequenceNorm(name="norm")
        self.output_point = self.name  # the quantization point that what it puts out has passed

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

    def quantized(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """[batch, time, frequency, channels] -> [batch, time // stride, frequency', channels']."""
        return self._folded(
            ops.pad(x, ((0, 0), (self.past, 0), (0, 0), (0, 0))), quantizer, convolve
        )

    def state_shapes(self) -> Shapes:
        """The input frames that the next chunk still sees."""
        return {"": (1, self.past, self.bins, self.in_channels)} if self.past else {}

    def state_point(self, key: str, incoming: str) -> str:
        """Quantization point of a state; `incoming`: that of the input."""
        return incoming

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[1, time, frequency, channels] -> [1, time // stride, frequency', channels']."""
        if self.past:
            frames = x.shape[1]
            x = ops.concatenate([states[""], x], axis=1)
            states = {
                "": ops.slice(x, (0, frames, 0, 0), (1, self.past, self.bins, self.in_channels))
            }
        return self._folded(x, quantizer, convolve_in_lanes), states

    def _folded(self, x: Tensor, quantizer: Quantizer, convolve: Callable[..., Tensor]) -> Tensor:
        scale, shift = self.norm.affine()
        kernel = quantizer.weight(self.convolution.kernel * scale)
        return quantizer(
            self.name, ops.relu6(convolve(x, kernel, self.stride, self.padding) + shift)
        )


class RecurrentLayer(keras.layers.Layer):
    """Sequence-wise batch norm on the input, then a recurrence forward in time, or the sum of one each way."""

    def __init__(self, cell: str, units: int, direction: str = "forward", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell, self.units = CELLS[cell], units
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
        """[batch, time, features] -> [batch, time, units]; `valid` [batch, time] marks the real steps."""
        x = self.norm(x, valid=valid, training=training)
        if not self.backward:
            return self.recurrence(x)
        turned = _turn(valid)
        backward = self.backward(ops.take_along_axis(x, turned, axis=1))
        return self.recurrence(x) + ops.take_along_axis(backward, turned, axis=1)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        forward = self._scan(x, self.recurrence, quantizer.within(self.name), quantizer)
        if not self.backward:
            return forward
        turned = _turn(valid)
        backward = self._scan(
            ops.take_along_axis(x, turned, axis=1),
            self.backward,
            quantizer.within(self.name + BACKWARD),
            quantizer,
        )
        return quantizer(self.name, forward + ops.take_along_axis(backward, turned, axis=1))

    def _scan(
        self, x: Tensor, recurrence: keras.layers.Layer, quantize: Quantize, quantizer: Quantizer
    ) -> Tensor:
        projected, recurrent = self._products(x, recurrence, quantize, quantizer)
        ends = list(accumulate(self.cell.groups))[:-1]

        def step(rows: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            named = dict(zip(self.cell.states, states, strict=True))
            parts = ops.split(rows, [end * self.units for end in ends], axis=-1) if ends else [rows]
            named = self.cell.step(parts, recurrent(named["h"]), named, quantize)
            return named["h"], [named[key] for key in self.cell.states]

        loop = keras.layers.RNN(
            StepCell(step, self.units, len(self.cell.states)),
            return_sequences=True,
            unroll=quantizer.unroll,
        )
        return loop(ops.concatenate(projected, axis=-1))

    def _products(
        self, x: Tensor, recurrence: keras.layers.Layer, quantize: Quantize, quantizer: Quantizer
    ) -> tuple[list[Tensor], Callable[[Tensor], list[Tensor]]]:
        """x W + b in parts, for all steps, and the function that gives the parts of h U + b."""
        weights, units = recurrence.cell, self.units
        scale, shift = self.norm.affine()
        bias, inside = self.cell.biases(weights.bias, units)
        bias = bias + ops.matmul(ops.expand_dims(shift, 0), weights.kernel)[0]
        kernel = quantizer.weight(ops.expand_dims(scale, 1) * weights.kernel)
        recurrent_kernel = quantizer.weight(weights.recurrent_kernel)
        ends = list(accumulate((0, *self.cell.groups)))
        parts = [slice(first * units, last * units) for first, last in pairwise(ends)]
        projected = [
            quantize(f"projected{i}", ops.matmul(x, kernel[:, part]) + bias[part])
            for i, part in enumerate(parts)
        ]
        kernels = [recurrent_kernel[:, part] for part in parts]

        def recurrent(h: Tensor) -> list[Tensor]:
            products = [ops.matmul(h, kernel) for kernel in kernels]
            products = [y + inside[i] if i in inside else y for i, y in enumerate(products)]
            return [quantize(f"recurrent{i}", y) for i, y in enumerate(products)]

        return projected, recurrent

    def state_shapes(self) -> Shapes:
        """Hidden state, and the memory of an LSTM."""
        return dict.fromkeys(self.cell.states, (1, self.units))

    def state_point(self, key: str, incoming: str) -> str:
        """Quantization point of a state."""
        return f"{self.name}/{key}"

    def step(
        self, x: Tensor, states: States, quantizer: Quantizer, backward: bool = False
    ) -> tuple[Tensor, States]:
        """[steps, features] -> [steps, units], unrolled: a loop in the graph would not calibrate to int8.

        Of a bidirectional layer this is one direction; `backward`: the other one, whose steps come in last first.
        """
        recurrence, scope = (
            (self.backward, self.name + BACKWARD) if backward else (self.recurrence, self.name)
        )
        quantize = quantizer.within(scope)
        projected, recurrent = self._products(x, recurrence, quantize, quantizer)
        outputs = []
        for t in range(x.shape[0]):
            rows = [ops.slice(part, (t, 0), (1, part.shape[1])) for part in projected]
            states = self.cell.step(rows, recurrent(states["h"]), states, quantize)
            outputs.append(states["h"])
        return concatenate_steps(outputs), states


class StepCell(keras.layers.Layer):
    """One step of a recurrence as a cell that Keras can loop over; its weights are those that `step` knows."""

    def __init__(self, step: Callable[..., Any], units: int, states: int) -> None:
        super().__init__()
        self.step, self.output_size, self.state_size = step, units, [units] * states
        self.built = True

    def call(
        self, inputs: Tensor, states: list[Tensor], training: bool | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        return self.step(inputs, states)


def _turn(valid: Tensor) -> Tensor:
    """Indexes [batch, time, 1] that turn each clip about its own end, so that the padding still comes last.

    Keras's Bidirectional would begin in the padding, and a mask against that costs the cuDNN kernel.
    """
    steps = ops.arange(ops.shape(valid)[1])
    lengths = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    return ops.expand_dims(ops.where(steps < lengths, lengths - 1 - steps, steps), -1)


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
        self.output_point = self.name

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.units = input_shape[-1]
        self.convolution.build((None, None, self.units))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """[batch, time, units] -> [batch, time - lookahead, units]."""
        return self.convolution(x)

    def quantized(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        kernel = quantizer.weight(self.convolution.kernel, channels=1)
        return quantizer(self.name, ops.depthwise_conv(x, kernel, padding="valid"))

    def state_shapes(self) -> Shapes:
        """The last inputs."""
        return {"": (self.lookahead, self.units)}

    def state_point(self, key: str, incoming: str) -> str:
        """Quantization point of a state; `incoming`: that of the input."""
        return incoming

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape."""
        steps = x.shape[0]
        x = ops.concatenate([states[""], x], axis=0)
        rest = ops.slice(x, (steps, 0), (self.lookahead, self.units))
        image = ops.reshape(x, (1, self.lookahead + steps, 1, self.units))
        kernel = quantizer.weight(self.convolution.kernel, channels=1)
        y = ops.depthwise_conv(image, ops.expand_dims(kernel, 1), padding="valid")
        return quantizer(self.name, ops.reshape(y, (steps, self.units))), {"": rest}


def concatenate_steps(rows: list[Tensor]) -> Tensor:
    """Rows [1, n] to [len(rows), n] by a tree of at most 4 at a time: wider CONCATENATION leaves the int8 delegate."""
    while len(rows) > 1:
        rows = [
            ops.concatenate(rows[i : i + 4], axis=0) if i + 1 < len(rows) else rows[i]
            for i in range(0, len(rows), 4)
        ]
    return rows[0]
