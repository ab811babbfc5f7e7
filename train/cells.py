"""The recurrent cells: for each, the Keras layer that trains it and one step of it in plain, quantizable operations.

Weights are the Keras layer's own. A step takes the input projection x W + b, which is computed for a whole chunk in one
matrix product, and the recurrent product h U; all tensors have shape [1, units or gates x units]. The recurrent product
has no bias: every step's would be quantized to a scale of its own, and a copy of it kept in the file.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


class Cell:
    """What the cells share."""

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, Tensor | None]:
        """All of the bias is added to the input projection."""
        return bias, None


class GRU(Cell):
    """Gated recurrent unit in the reset-after form (cuDNN's): one recurrent product for all three gates (z, r, h)."""

    states = ("h",)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return keras.layers.GRU(units, return_sequences=True, reset_after=True, name="cell")

    @staticmethod
    def biases(bias: Tensor, units: int) -> tuple[Tensor, Tensor | None]:
        """All of the bias that can be added to the input projection, and what the reset gate must not pass by."""
        inside = ops.slice(bias, (1, 2 * units), (1, units))
        return bias[0] + ops.pad(bias[1, : 2 * units], ((0, units),)), inside

    @staticmethod
    def step(
        projected: Tensor, recurrent: Tensor, inside: Tensor | None, states: dict[str, Tensor], units: int
    ) -> dict[str, Tensor]:
        """h' = z h + (1 - z) tanh(x_h + r (u_h + b_h)), written as candidate + z (h - candidate): one product less."""
        gates = ops.sigmoid(_part(projected, 0, 2 * units) + _part(recurrent, 0, 2 * units))
        update, reset = _part(gates, 0, units), _part(gates, units, units)
        remembered = reset * (_part(recurrent, 2 * units, units) + inside)
        candidate = ops.tanh(_part(projected, 2 * units, units) + remembered)
        return {"h": candidate + update * (states["h"] - candidate)}


class LSTM(Cell):
    """Long short-term memory; gates in Keras order (i, f, c, o)."""

    states = ("h", "c")

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences; the fused cuDNN kernel where the backend has it."""
        return keras.layers.LSTM(units, return_sequences=True, name="cell")

    @staticmethod
    def step(
        projected: Tensor, recurrent: Tensor, inside: Tensor | None, states: dict[str, Tensor], units: int
    ) -> dict[str, Tensor]:
        """c' = f c + i tanh(g), h' = o tanh(c')."""
        both = projected + recurrent
        take, forget = ops.sigmoid(_part(both, 0, units)), ops.sigmoid(_part(both, units, units))
        candidate, show = ops.tanh(_part(both, 2 * units, units)), ops.sigmoid(_part(both, 3 * units, units))
        memory = forget * states["c"] + take * candidate
        return {"h": show * ops.tanh(memory), "c": memory}


class RNN(Cell):
    """The paper's simple recurrence with a clipped ReLU."""

    states = ("h",)

    @staticmethod
    def layer(units: int) -> keras.layers.Layer:
        """Whole sequences."""
        return keras.layers.SimpleRNN(units, activation="relu6", return_sequences=True, name="cell")

    @staticmethod
    def step(
        projected: Tensor, recurrent: Tensor, inside: Tensor | None, states: dict[str, Tensor], units: int
    ) -> dict[str, Tensor]:
        """h' = min(max(x + u, 0), 6)."""
        return {"h": ops.relu6(projected + recurrent)}


CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


def _part(tensor: Tensor, first: int, size: int) -> Tensor:
    """Columns of a [1, n] tensor by SLICE, which int8 delegates run; indexing would make a STRIDED_SLICE."""
    return ops.slice(tensor, (0, first), (1, size))
