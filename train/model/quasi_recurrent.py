"""The quasi-recurrent block (Bradbury et al. 2016, arXiv 1611.01576), in the three calls of layers.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model.layers import SequenceNorm, Shapes, States, StepCell, concatenate_steps
from ds2edge.train.model.quantization import SIGMOID, TANH, Quantize, Quantizer
from ds2edge.train.model.scan import scan

Tensor = Any

TAPS = 3  # steps that the depthwise convolution sees
# The most that a state keeps of itself in a step. An int8 state stands still where it would change by less than half
# a level (1/256). With 31/32 it stops at most 1/8 short of its target; without a bound it might never move.
MOST_KEPT = 31 / 32


class QuasiRecurrentLayer(keras.layers.Layer):
    """A residual block around an elementwise recurrence: all its matrix products are of the input alone.

    y = norm(x) + depthwise convolution of `TAPS` steps over norm(x); z, f, o = y W + b;
    c[t] = k c[t-1] + (1 - k) tanh(z), where k = MOST_KEPT sigmoid(f); output = x + sigmoid(o) c.
    Where x has not `units` values, the output is sigmoid(o) c alone.

    A device reads W once for all steps of a chunk. A GRU reads its recurrent weights once a step.

    `ahead`: how many of the convolution's steps lie in the future. The output is that many steps late, in `call` as
    in `step`. The steps before the start are zeros in both.
    """

    def __init__(self, units: int, ahead: int = 0, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.ahead = units, ahead
        self.norm = SequenceNorm(name="norm")
        # Keras reckons the fan-in of a depthwise kernel over all channels, which would leave hardly any signal.
        spread = keras.initializers.RandomNormal(stddev=TAPS**-0.5 / 2)
        self.convolution = keras.layers.DepthwiseConv1D(
            TAPS, use_bias=False, depthwise_initializer=spread, name="convolution"
        )
        self.dropout = keras.layers.Dropout(dropout)
        self.gates = keras.layers.Dense(3 * units, bias_initializer=_remember, name="gates")
        self.output_point = self.name

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.width = input_shape[-1]
        self.adds = self.width == self.units
        self.norm.build(input_shape)
        self.convolution.build((None, None, self.width))
        self.gates.build(input_shape)
        self.built = True

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, units] -> the same shape, `ahead` steps late; `valid` [batch, time] marks the real steps."""
        padded = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        heard = ops.pad(valid, ((0, 0), (TAPS - 1, 0)))
        y = self.norm(padded, valid=heard, training=training)
        y = self._present(y, x) + self.convolution(y)
        z, f, o = ops.split(self.gates(self.dropout(y, training=training)), 3, axis=-1)
        forget = MOST_KEPT * ops.sigmoid(ops.cast(f, "float32"))
        states = scan(forget, (1 - forget) * ops.tanh(ops.cast(z, "float32")))
        shown = ops.sigmoid(o) * ops.cast(states, x.dtype)
        return self._present(padded, x) + shown if self.adds else shown

    def _present(self, padded: Tensor, x: Tensor) -> Tensor:
        """The steps that the outputs of `x` are meant for, of `x` with TAPS - 1 steps before it."""
        first = TAPS - 1 - self.ahead
        return padded[:, first : first + ops.shape(x)[1]]

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        quantize = quantizer.within(self.name)
        padded = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        kernel, bias, spread = self._mixing(quantizer)
        y = quantize("mixed", ops.depthwise_conv(padded, kernel, padding="valid") + bias)
        forget, taken, show = self._gates(y, spread, quantize, quantizer)

        def step(rows: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            state = self._remember(*ops.split(rows, 2, axis=-1), states[0], quantize)
            return state, [state]

        loop = keras.layers.RNN(
            StepCell(step, self.units, 1), return_sequences=True, unroll=quantizer.unroll
        )
        states = loop(ops.concatenate([forget, taken], axis=-1))
        if not self.adds:
            return quantizer(self.name, show * states)
        return quantizer(self.name, self._present(padded, x) + quantize("shown", show * states))

    def _mixing(self, quantizer: Quantizer) -> tuple[Tensor, Tensor, Tensor]:
        """Norm, convolution and the sum of both as one depthwise kernel [TAPS, width, 1] and its bias [width].

        The third value is the spread of each output, by which it is divided, so that one int8 scale suits them all.
        `_gates` multiplies its kernel by it. The norm tells the spread: mean and standard deviation of what it puts
        out are its beta and gamma.
        """
        scale, shift = self.norm.affine()
        present = ops.expand_dims(ops.one_hot(TAPS - 1 - self.ahead, TAPS), (1, 2))
        kernel = self.convolution.kernel + present
        total = ops.sum(kernel, axis=(0, 2))
        deviation = ops.abs(self.norm.gamma) * ops.sqrt(ops.sum(kernel**2, axis=(0, 2)))
        spread = ops.abs(self.norm.beta * total) + 4 * deviation + keras.config.epsilon()
        kernel = kernel * ops.expand_dims(scale / spread, (0, 2))
        return quantizer.weight(kernel, channels=1), shift * total / spread, spread

    def _gates(
        self, y: Tensor, spread: Tensor, quantize: Quantize, quantizer: Quantizer
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is kept of a state, what it takes, and what is shown of it: for all steps, [..., units] each."""
        kernel = quantizer.weight(ops.expand_dims(spread, 1) * self.gates.kernel)
        bias = self.gates.bias
        parts = [slice(i * self.units, (i + 1) * self.units) for i in range(3)]
        z, f, o = (ops.matmul(y, kernel[:, part]) + bias[part] for part in parts)
        candidate = quantize("candidate", ops.tanh(quantize("candidate_sums", z)), TANH)
        forget = quantize("gate", ops.sigmoid(quantize("gate_sums", f)), SIGMOID)
        forget = quantize("forget", MOST_KEPT * forget, (0.0, 1.0))
        taken = quantize("taken", quantize("take", 1 - forget, (0.0, 1.0)) * candidate)
        return forget, taken, quantize("show", ops.sigmoid(quantize("show_sums", o)), SIGMOID)

    def _remember(self, forget: Tensor, taken: Tensor, state: Tensor, quantize: Quantize) -> Tensor:
        return quantize("c", quantize("kept", forget * state) + taken)

    def state_shapes(self) -> Shapes:
        """The last inputs, and the memory."""
        return {"x": (TAPS - 1, self.width), "c": (1, self.units)}

    def state_point(self, key: str, incoming: str) -> str:
        """Quantization point of a state; `incoming`: that of the input."""
        return incoming if key == "x" else f"{self.name}/{key}"

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape."""
        quantize, steps = quantizer.within(self.name), x.shape[0]
        padded = ops.concatenate([states["x"], x], axis=0)
        kernel, bias, spread = self._mixing(quantizer)
        image = ops.reshape(padded, (1, TAPS - 1 + steps, 1, self.width))
        y = ops.depthwise_conv(image, ops.expand_dims(kernel, 1), padding="valid")
        y = quantize("mixed", ops.reshape(y, (steps, self.width)) + bias)
        forget, taken, show = self._gates(y, spread, quantize, quantizer)
        state, outputs = states["c"], []
        for t in range(steps):
            kept, new = (ops.slice(part, (t, 0), (1, self.units)) for part in (forget, taken))
            state = self._remember(kept, new, state, quantize)
            outputs.append(state)
        shown = show * concatenate_steps(outputs)
        following = {"x": ops.slice(padded, (steps, 0), (TAPS - 1, self.width)), "c": state}
        if not self.adds:
            return quantizer(self.name, shown), following
        present = ops.slice(padded, (TAPS - 1 - self.ahead, 0), (steps, self.units))
        return quantizer(self.name, present + quantize("shown", shown)), following


@keras.saving.register_keras_serializable("ds2edge")
def _remember(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
    """Biases of z, f and o: a network begins by remembering."""
    units = shape[0] // 3
    return ops.concatenate(
        [ops.zeros((units,), dtype), ops.ones((units,), dtype), ops.zeros((units,), dtype)]
    )
