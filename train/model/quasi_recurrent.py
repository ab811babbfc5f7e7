"""The quasi-recurrent layer (Bradbury et al. 2016, arXiv 1611.01576)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model.cells import StepCell
from ds2edge.train.model.layers import SequenceNorm, StreamingLayer, concatenate_steps
from ds2edge.train.model.quantization import SIGMOID, TANH, Quantize, Quantizer
from ds2edge.train.model.scan import scan
from ds2edge.train.model.tensor import Shapes, States, Tensor

TAPS = 3  # steps that the depthwise convolution sees
# Highest forget gate. An int8 state stops moving where it would change by less than half a level
# (1/256): with 31/32 at most 1/8 short of its target, without a bound perhaps anywhere.
MAX_FORGET = 31 / 32


class QuasiRecurrentLayer(StreamingLayer):
    """A residual block around an elementwise recurrence: all its matrix products are of the input.

    y = norm(x) + depthwise convolution of `TAPS` steps over norm(x); z, f, o = y W + b;
    c[t] = k c[t-1] + (1 - k) tanh(z), where k = MAX_FORGET sigmoid(f); output = x + sigmoid(o) c.
    Where x has another width than `units`, the output is sigmoid(o) c alone.

    A device reads W once for all steps of a chunk. A GRU reads its recurrent weights at every step.

    `ahead`: how many of the convolution's steps lie in the future. The output is that many steps
    late, in `call` as in `step`. The steps before the start are zeros in both.
    """

    def __init__(self, units: int, ahead: int = 0, dropout: float = 0.0, **kwargs: Any) -> None:
        """`dropout`: share of the inputs of W that training drops."""
        super().__init__(**kwargs)
        self.units = units
        self.ahead = ahead
        self.norm = SequenceNorm(name="norm")
        # Keras counts all channels in the fan-in of a depthwise kernel: the signal would vanish.
        initializer = keras.initializers.RandomNormal(stddev=TAPS**-0.5 / 2)
        self.convolution = keras.layers.DepthwiseConv1D(
            TAPS, use_bias=False, depthwise_initializer=initializer, name="convolution"
        )
        self.dropout = keras.layers.Dropout(dropout)
        self.gates = keras.layers.Dense(3 * units, bias_initializer=_initial_biases, name="gates")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, features]."""
        self.width = input_shape[-1]
        self.residual = self.width == self.units
        self.norm.build(input_shape)
        self.convolution.build((None, None, self.width))
        self.gates.build(input_shape)
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, features] -> [batch, time, units], `ahead` steps late.

        `valid` [batch, time] marks the real steps.
        """
        padded = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        padded_valid = ops.pad(valid, ((0, 0), (TAPS - 1, 0)))
        y = self.norm(padded, valid=padded_valid, training=training)
        y = self._center(y, x) + self.convolution(y)
        z, f, o = ops.split(self.gates(self.dropout(y, training=training)), 3, axis=-1)
        forget = MAX_FORGET * ops.sigmoid(ops.cast(f, "float32"))
        states = scan(forget, (1 - forget) * ops.tanh(ops.cast(z, "float32")))
        shown = ops.sigmoid(o) * ops.cast(states, x.dtype)
        return self._center(padded, x) + shown if self.residual else shown

    def _center(self, padded: Tensor, x: Tensor) -> Tensor:
        """The present step of each window of the convolution; `padded`: `x` after TAPS - 1 rows."""
        first = TAPS - 1 - self.ahead
        return padded[:, first : first + ops.shape(x)[1]]

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        quantize = quantizer.within(self.name)
        padded = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        kernel, bias, spread = self._folded_convolution(quantizer)
        y = quantize("mixed", ops.depthwise_conv(padded, kernel, padding="valid") + bias)
        forget, increment, show = self._gates(y, spread, quantize, quantizer)

        def step(rows: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            forget_row, increment_row = ops.split(rows, 2, axis=-1)
            state = self._next_memory(forget_row, increment_row, states[0], quantize)
            return state, [state]

        cell = StepCell(step, self.units, 1)
        loop = keras.layers.RNN(cell, return_sequences=True, unroll=quantizer.unroll)
        shown = show * loop(ops.concatenate([forget, increment], axis=-1))
        if not self.residual:
            return quantizer(self.name, shown)
        return quantizer(self.name, self._center(padded, x) + quantize("shown", shown))

    def _folded_convolution(self, quantizer: Quantizer) -> tuple[Tensor, Tensor, Tensor]:
        """Norm, convolution and their sum as a depthwise kernel [TAPS, width, 1] and bias [width].

        The third value is the expected range [width] of each output. The kernel and the bias are
        divided by it, so that one int8 scale suits all outputs; `_gates` multiplies its own kernel
        by it. The outputs of the norm have mean beta and standard deviation gamma.
        """
        scale, shift = self.norm.affine()
        present = ops.expand_dims(ops.one_hot(TAPS - 1 - self.ahead, TAPS), (1, 2))
        kernel = self.convolution.kernel + present
        total = ops.sum(kernel, axis=(0, 2))
        std = ops.abs(self.norm.gamma) * ops.sqrt(ops.sum(kernel**2, axis=(0, 2)))
        spread = ops.abs(self.norm.beta * total) + 4 * std + keras.config.epsilon()
        kernel = kernel * ops.expand_dims(scale / spread, (0, 2))
        return quantizer.weight(kernel, channels=1), shift * total / spread, spread

    def _gates(
        self, y: Tensor, spread: Tensor, quantize: Quantize, quantizer: Quantizer
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Forget gate, increment of the memory, and output gate: [..., units] each.

        The increment is (1 - forget gate) times the candidate."""
        kernel = quantizer.weight(ops.expand_dims(spread, 1) * self.gates.kernel)
        bias = self.gates.bias
        parts = [slice(i * self.units, (i + 1) * self.units) for i in range(3)]
        z, f, o = (ops.matmul(y, kernel[:, part]) + bias[part] for part in parts)
        candidate = quantize("candidate", ops.tanh(quantize("candidate_sums", z)), TANH)
        gate = quantize("gate", ops.sigmoid(quantize("gate_sums", f)), SIGMOID)
        forget = quantize("forget", MAX_FORGET * gate, (0.0, 1.0))
        increment = quantize("taken", quantize("take", 1 - forget, (0.0, 1.0)) * candidate)
        return forget, increment, quantize("show", ops.sigmoid(quantize("show_sums", o)), SIGMOID)

    def _next_memory(
        self, forget: Tensor, increment: Tensor, memory: Tensor, quantize: Quantize
    ) -> Tensor:
        return quantize("c", quantize("kept", forget * memory) + increment)

    def state_shapes(self) -> Shapes:
        """The last inputs, and the memory."""
        return {"x": (TAPS - 1, self.width), "c": (1, self.units)}

    def state_point(self, key: str, incoming: str) -> str:
        """See StreamingLayer."""
        return incoming if key == "x" else f"{self.name}/{key}"

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, features] -> [steps, units], next states."""
        quantize = quantizer.within(self.name)
        steps = x.shape[0]
        padded = ops.concatenate([states["x"], x], axis=0)
        kernel, bias, spread = self._folded_convolution(quantizer)
        image = ops.reshape(padded, (1, TAPS - 1 + steps, 1, self.width))
        y = ops.depthwise_conv(image, ops.expand_dims(kernel, 1), padding="valid")
        y = quantize("mixed", ops.reshape(y, (steps, self.width)) + bias)
        forget, increment, show = self._gates(y, spread, quantize, quantizer)
        memory = states["c"]
        memories = []
        for t in range(steps):
            forget_row, increment_row = (
                ops.slice(part, (t, 0), (1, self.units)) for part in (forget, increment)
            )
            memory = self._next_memory(forget_row, increment_row, memory, quantize)
            memories.append(memory)
        shown = show * concatenate_steps(memories)
        last = ops.slice(padded, (steps, 0), (TAPS - 1, self.width))
        next_states = {"x": last, "c": memory}
        if not self.residual:
            return quantizer(self.name, shown), next_states
        present = ops.slice(padded, (TAPS - 1 - self.ahead, 0), (steps, self.units))
        return quantizer(self.name, present + quantize("shown", shown)), next_states


def _initial_biases(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
    """Biases of z, f and o. Those of the forget gate are 1: training begins with a long memory."""
    units = shape[0] // 3
    return ops.concatenate(
        [ops.zeros((units,), dtype), ops.ones((units,), dtype), ops.zeros((units,), dtype)]
    )
