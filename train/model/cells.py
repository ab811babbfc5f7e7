"""The recurrent cells: for each, the Keras layer that trains it and one step of it in plain, quantizable operations.

Weights are the Keras layer's own. A step takes two products, x W + b of the input, which is computed for many steps at
once, and h U of the state, each in parts by groups of gates: a part is a tensor [batch, gates x units] and gets an int8
scale of its own, which the wide range of a candidate would otherwise set for its gates too.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model import fast_gru as recurrence
from ds2edge.train.model.quantization import SIGMOID, TANH, Quantize

Tensor = Any
States = dict[str, Tensor]


class Cell:
    """What the cells share."""

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, dict[int, Tensor]]:
        """What is added to the input projection, here all of it, and to parts of the recurrent product, by number."""
        return bias, {}


class GRU(Cell):
    """Gated recurrent unit in the reset-after form (cuDNN's); gates in Keras order (z, r, h)."""

    states = ("h",)
    groups = (2, 1)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return recurrence.GRU(units, return_sequences=True, name="cell")

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, dict[int, Tensor]]:
        """All that can be added to the input projection, and the candidate's, which the reset gate must not pass by."""
        return bias[0] + ops.pad(bias[1, : 2 * units], ((0, units),)), {1: bias[1, 2 * units :]}

    @staticmethod
    def step(
        projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """h' = z h + (1 - z) tanh(x_h + r u_h). Written as candidate + z (h - candidate) it would take an operation
        less, but a difference of two states has twice their range, and so twice their rounding."""
        gates = ops.sigmoid(quantize("gate_sums", projected[0] + recurrent[0]))
        update, reset = ops.split(quantize("gates", gates, SIGMOID), 2, axis=-1)
        past = quantize("reset", reset * recurrent[1])
        candidate = quantize(
            "candidate", ops.tanh(quantize("candidate_sums", projected[1] + past)), TANH
        )
        taken = quantize("taken", quantize("take", 1 - update, (0.0, 1.0)) * candidate)
        return {"h": quantize("h", quantize("kept", update * states["h"]) + taken)}


class LSTM(Cell):
    """Long short-term memory; gates in Keras order (i, f, c, o)."""

    states = ("h", "c")
    groups = (2, 1, 1)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return keras.layers.LSTM(units, return_sequences=True, name="cell")

    @staticmethod
    def step(
        projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """c' = f c + i tanh(g), h' = o tanh(c')."""
        gates = ops.sigmoid(quantize("gate_sums", projected[0] + recurrent[0]))
        take, forget = ops.split(quantize("gates", gates, SIGMOID), 2, axis=-1)
        candidate = quantize(
            "candidate", ops.tanh(quantize("candidate_sums", projected[1] + recurrent[1])), TANH
        )
        show = quantize(
            "show", ops.sigmoid(quantize("show_sums", projected[2] + recurrent[2])), SIGMOID
        )
        memory = quantize(
            "c", quantize("kept", forget * states["c"]) + quantize("taken", take * candidate)
        )
        return {"h": quantize("h", show * quantize("shown", ops.tanh(memory), TANH)), "c": memory}


class RNN(Cell):
    """The paper's simple recurrence with a clipped ReLU."""

    states = ("h",)
    groups = (1,)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences."""
        return keras.layers.SimpleRNN(units, activation="relu6", return_sequences=True, name="cell")

    @staticmethod
    def step(
        projected: list[Tensor], recurrent: list[Tensor], states: States, quantize: Quantize
    ) -> States:
        """h' = min(max(x + u, 0), 6)."""
        return {"h": quantize("h", ops.relu6(projected[0] + recurrent[0]))}


CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
