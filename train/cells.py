"""The recurrent cells: for each, the Keras layer that trains it and one step of it in plain, quantizable operations.

Weights are the Keras layer's own. A step takes two products, x W + b of the input, which is computed for a whole chunk
at once, and h U of the state, each in parts by groups of gates: a part is a tensor [1, gates x units] and gets an int8
scale of its own, which the wide range of a candidate would otherwise set for its gates too. The product h U has no
bias: every step's would be quantized to another scale, and a copy of it kept in the file.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train import recurrence

Tensor = Any
States = dict[str, Tensor]


class Cell:
    """What the cells share."""

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, Tensor | None]:
        """All of the bias is added to the input projection."""
        return bias, None


class GRU(Cell):
    """Gated recurrent unit in the reset-after form (cuDNN's); gates in Keras order (z, r, h)."""

    states = ("h",)
    groups = (2, 1)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return recurrence.GRU(units, return_sequences=True, name="cell")

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, Tensor | None]:
        """All of the bias that can be added to the input projection, and what the reset gate must not pass by."""
        inside = ops.slice(bias, (1, 2 * units), (1, units))
        return bias[0] + ops.pad(bias[1, : 2 * units], ((0, units),)), inside

    @staticmethod
    def step(projected: list[Tensor], recurrent: list[Tensor], inside: Tensor | None, states: States) -> States:
        """h' = z h + (1 - z) tanh(x_h + r (u_h + b_h)), written as candidate + z (h - candidate): one product less."""
        update, reset = _halves(ops.sigmoid(projected[0] + recurrent[0]))
        candidate = ops.tanh(projected[1] + reset * (recurrent[1] + inside))
        return {"h": candidate + update * (states["h"] - candidate)}


class LSTM(Cell):
    """Long short-term memory; gates in Keras order (i, f, c, o)."""

    states = ("h", "c")
    groups = (2, 1, 1)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return keras.layers.LSTM(units, return_sequences=True, name="cell")

    @staticmethod
    def step(projected: list[Tensor], recurrent: list[Tensor], inside: Tensor | None, states: States) -> States:
        """c' = f c + i tanh(g), h' = o tanh(c')."""
        take, forget = _halves(ops.sigmoid(projected[0] + recurrent[0]))
        candidate, show = ops.tanh(projected[1] + recurrent[1]), ops.sigmoid(projected[2] + recurrent[2])
        memory = forget * states["c"] + take * candidate
        return {"h": show * ops.tanh(memory), "c": memory}


class RNN(Cell):
    """The paper's simple recurrence with a clipped ReLU."""

    states = ("h",)
    groups = (1,)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences."""
        return keras.layers.SimpleRNN(units, activation="relu6", return_sequences=True, name="cell")

    @staticmethod
    def step(projected: list[Tensor], recurrent: list[Tensor], inside: Tensor | None, states: States) -> States:
        """h' = min(max(x + u, 0), 6)."""
        return {"h": ops.relu6(projected[0] + recurrent[0])}


CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


def _halves(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors [1, n] of one [1, 2n] by SLICE, which int8 delegates run; indexing would make a STRIDED_SLICE."""
    size = tensor.shape[1] // 2
    return ops.slice(tensor, (0, 0), (1, size)), ops.slice(tensor, (0, size), (1, size))
