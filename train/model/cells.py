"""The recurrent cells: the Keras layer that trains each, and one step in quantizable operations.

Both use the weights of the Keras layer. A step adds two products: x W + b of the input, computed
for many steps at once, and h U of the state. Each product comes in parts, one per group of gates:
tensors [batch, gates x units]. Every part has its own int8 scale, because a candidate's wide range
would make the levels of the gates coarser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

import keras
from keras import ops

from ds2edge.train.model.fast_gru import FastGRU
from ds2edge.train.model.quantization import SIGMOID, TANH, Quantize, Quantizer
from ds2edge.train.model.tensor import States, Tensor


class Cell(ABC):
    """A recurrent cell. It holds no weights."""

    states: tuple[str, ...] = ("h",)  # the names of its states; "h" is also its output
    groups: tuple[int, ...]  # gates in each part of the products

    @abstractmethod
    def layer(self, units: int) -> keras.layers.Layer:
        """The Keras layer for whole sequences, fused by cuDNN where the backend can."""

    def biases(self, bias: Tensor, units: int) -> tuple[Tensor, dict[int, Tensor]]:
        """The biases of the input product, and those of the recurrent parts by their number.

        `bias`: as the Keras layer holds it. Most cells add all of it to the input product.
        """
        return bias, {}

    @abstractmethod
    def step(
        self, projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """The next states, from the parts of x W + b and of h U and the states before."""


class GRU(Cell):
    """Gated recurrent unit in cuDNN's reset-after form; gates in Keras order (z, r, h)."""

    groups = (2, 1)

    def layer(self, units: int) -> keras.layers.Layer:
        """See Cell."""
        return FastGRU(units, return_sequences=True, name="cell")

    def biases(self, bias: Tensor, units: int) -> tuple[Tensor, dict[int, Tensor]]:
        """See Cell. The candidate's recurrent bias stays apart: the reset gate multiplies it."""
        return bias[0] + ops.pad(bias[1, : 2 * units], ((0, units),)), {1: bias[1, 2 * units :]}

    def step(
        self, projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """h' = z h + (1 - z) tanh(x_h + r u_h).

        candidate + z (h - candidate) would save an operation. But a difference of two states has
        twice their range, so int8 would round it twice as coarsely.
        """
        gate_sums = quantize("gate_sums", projected[0] + recurrent[0])
        gates = quantize("gates", ops.sigmoid(gate_sums), SIGMOID)
        update, reset = ops.split(gates, 2, axis=-1)
        past = quantize("reset", reset * recurrent[1])
        candidate_sums = quantize("candidate_sums", projected[1] + past)
        candidate = quantize("candidate", ops.tanh(candidate_sums), TANH)
        taken = quantize("taken", quantize("take", 1 - update, (0.0, 1.0)) * candidate)
        kept = quantize("kept", update * states["h"])
        return {"h": quantize("h", kept + taken)}


class LSTM(Cell):
    """Long short-term memory; gates in Keras order (i, f, c, o)."""

    states = ("h", "c")
    groups = (2, 1, 1)

    def layer(self, units: int) -> keras.layers.Layer:
        """See Cell."""
        return keras.layers.LSTM(units, return_sequences=True, name="cell")

    def step(
        self, projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """c' = f c + i tanh(g), h' = o tanh(c')."""
        gate_sums = quantize("gate_sums", projected[0] + recurrent[0])
        gates = quantize("gates", ops.sigmoid(gate_sums), SIGMOID)
        input_gate, forget_gate = ops.split(gates, 2, axis=-1)
        candidate_sums = quantize("candidate_sums", projected[1] + recurrent[1])
        candidate = quantize("candidate", ops.tanh(candidate_sums), TANH)
        output_sums = quantize("show_sums", projected[2] + recurrent[2])
        output_gate = quantize("show", ops.sigmoid(output_sums), SIGMOID)
        kept = quantize("kept", forget_gate * states["c"])
        taken = quantize("taken", input_gate * candidate)
        memory = quantize("c", kept + taken)
        shown = quantize("shown", ops.tanh(memory), TANH)
        return {"h": quantize("h", output_gate * shown), "c": memory}


class RNN(Cell):
    """The paper's simple recurrence with a clipped ReLU."""

    groups = (1,)

    def layer(self, units: int) -> keras.layers.Layer:
        """See Cell."""
        return keras.layers.SimpleRNN(units, activation="relu6", return_sequences=True, name="cell")

    def step(
        self, projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """h' = min(max(x + u, 0), 6)."""
        return {"h": quantize("h", ops.relu6(projected[0] + recurrent[0]))}


# The cells of a RecurrentLayer. A recipe may also name "qrnn", which is a layer of its own.
RECURRENT_CELLS: dict[str, Cell] = {"gru": GRU(), "lstm": LSTM(), "rnn": RNN()}


class FoldedCell:
    """One direction of a RecurrentLayer for `step` and `quantized`, with the norm folded in.

    Its quantization points are those of the int8 graph.
    """

    def __init__(
        self,
        cell: Cell,
        weights: keras.layers.Layer,
        norm: tuple[Tensor, Tensor],
        quantizer: Quantizer,
        scope: str,
    ) -> None:
        """`weights`: the cell of the Keras layer; `norm`: scale and shift [features] of the input.

        `scope`: what the names of the quantization points begin with.
        """
        self.cell = cell
        self.units = weights.units
        self._quantize = quantizer.within(scope)
        scale, shift = norm
        bias, self._recurrent_biases = cell.biases(weights.bias, self.units)
        bias = bias + ops.matmul(ops.expand_dims(shift, 0), weights.kernel)[0]
        kernel = quantizer.weight(ops.expand_dims(scale, 1) * weights.kernel)
        recurrent_kernel = quantizer.weight(weights.recurrent_kernel)
        ends = accumulate((0, *cell.groups))
        parts = [slice(a * self.units, b * self.units) for a, b in pairwise(ends)]
        self._kernels = [kernel[:, part] for part in parts]
        self._biases = [bias[part] for part in parts]
        self._recurrent_kernels = [recurrent_kernel[:, part] for part in parts]

    def project(self, x: Tensor) -> list[Tensor]:
        """The parts of x W + b, for all steps of `x`."""
        products = zip(self._kernels, self._biases, strict=True)
        return [
            self._quantize(f"projected{i}", ops.matmul(x, kernel) + bias)
            for i, (kernel, bias) in enumerate(products)
        ]

    def step(self, projected: list[Tensor], states: States) -> States:
        """The next states; `projected`: the parts of one step."""
        return self.cell.step(projected, self._recur(states["h"]), states, self._quantize)

    def _recur(self, h: Tensor) -> list[Tensor]:
        """The parts of h U + b."""
        products = [ops.matmul(h, kernel) for kernel in self._recurrent_kernels]
        for i, bias in self._recurrent_biases.items():
            products[i] = products[i] + bias
        return [self._quantize(f"recurrent{i}", y) for i, y in enumerate(products)]

    def scan(self, x: Tensor, unroll: bool) -> Tensor:
        """[batch, time, features] -> [batch, time, units], in a loop of Keras or unrolled."""
        ends = [end * self.units for end in accumulate(self.cell.groups)][:-1]

        def step(rows: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            parts = ops.split(rows, ends, axis=-1) if ends else [rows]
            named = self.step(parts, dict(zip(self.cell.states, states, strict=True)))
            return named["h"], [named[key] for key in self.cell.states]

        cell = StepCell(step, self.units, len(self.cell.states))
        loop = keras.layers.RNN(cell, return_sequences=True, unroll=unroll)
        return loop(ops.concatenate(self.project(x), axis=-1))


class StepCell(keras.layers.Layer):
    """A function as the cell of keras.layers.RNN; the weights belong to the function."""

    def __init__(self, step: Callable[..., Any], units: int, states: int) -> None:
        """`step`: (inputs, list of states) -> (output, next states); `states`: their number."""
        super().__init__()
        self.step = step
        self.output_size = units
        self.state_size = [units] * states
        self.built = True

    def call(self, inputs: Tensor, states: list[Tensor], training: bool | None = None) -> Any:
        """Keras calls this for every time step."""
        return self.step(inputs, states)
