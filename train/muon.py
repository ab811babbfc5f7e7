"""The optimizer Muon, for the weight matrices of a model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

MOMENTUM = 0.95
STEPS = 5
# Of the iteration x <- A x + (B S + C S S) x with S = x x^T. It moves the singular values near 1.
# Very small ones stay below.
A, B, C = 3.4445, -4.775, 2.0315
# Root mean square of an update at a learning rate of 1. AdamW's is about as large, so both can
# share a learning rate and a weight decay.
RMS = 0.2
OUTPUT = "dense/kernel"  # end of the path of the output layer's kernel


@keras.saving.register_keras_serializable(package="ds2edge")
class Muon(keras.optimizers.AdamW):
    """AdamW, except for matrices: their updates have all singular values near 1.

    So a step moves a matrix in all directions alike, and not mostly in the few that have large
    gradients (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scale is that of
    Liu et al. 2025, arXiv 2502.16982). The kernel of a recurrent layer holds the matrices of
    several gates side by side; each of them counts as one matrix. AdamW updates the output layer,
    convolutions, norms and biases.
    """

    def build(self, variables: list[Any]) -> None:
        """Chooses the matrices. Keras calls this before the first step."""
        super().build(variables)
        self._matrices = {
            i
            for i, variable in enumerate(variables)
            if len(variable.shape) == 2 and not variable.path.endswith(OUTPUT)
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Changes one variable. Keras calls this for each."""
        index = self._get_variable_index(variable)
        if index not in self._matrices:
            super().update_step(gradient, variable, learning_rate)
            return
        average = self._momentums[index]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(average, MOMENTUM * average + gradient)
        update = orthogonalize(gradient + MOMENTUM * average)  # Nesterov's momentum
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * update)


def orthogonalize(x: Any) -> Any:
    """A matrix, or several of the same shape side by side, with singular values near 1.

    Float32 [rows, columns] -> the same shape. Where there are at least twice as many columns as
    rows, and a multiple of them, these are several square matrices. The mean square of each
    matrix becomes about RMS squared. Inside, the precision is bfloat16, which is enough.
    """
    rows, columns = x.shape
    count = columns // rows if columns % rows == 0 else 1
    matrices = ops.stack(ops.split(x, count, axis=1))
    tall = rows > columns
    if tall:
        matrices = ops.transpose(matrices, (0, 2, 1))
    size = ops.sqrt(ops.sum(ops.square(matrices), axis=(1, 2), keepdims=True))
    y = ops.cast(matrices / (size + 1e-7), "bfloat16")
    for _ in range(STEPS):
        square = ops.matmul(y, ops.transpose(y, (0, 2, 1)))
        y = A * y + ops.matmul(B * square + C * ops.matmul(square, square), y)
    if tall:
        y = ops.transpose(y, (0, 2, 1))
    scale = RMS * max(rows, columns // count) ** 0.5
    return scale * ops.cast(ops.concatenate(ops.unstack(y, count), axis=1), x.dtype)
