"""A GRU over whole sequences that trains fast under tensorflow on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ds2edge.train.model.tensor import Tensor


class FastGRU(keras.layers.GRU):
    """Keras's GRU with the same weights and results.

    On a GPU and under other backends it runs Keras's own code. That code takes most of the training
    time on tensorflow's CPU. There, this layer computes everything that does not depend on the step
    before for all steps at once: the projection of the input, and most of the gradient. The
    gradient is written out, so training stores nothing but the states.
    """

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Tensor, training: bool = False
    ) -> Any:
        """The last output, all outputs [batch, time, units], and the last states.

        Keras calls this. `initial_state` must be zero and `mask` None.
        """
        if keras.backend.backend() != "tensorflow" or keras.distribution.list_devices("gpu"):
            return super().inner_loop(sequences, initial_state, mask, training)
        import tensorflow as tf

        kernel = tf.convert_to_tensor(self.cell.kernel)
        recurrent_kernel = tf.convert_to_tensor(self.cell.recurrent_kernel)
        bias = tf.convert_to_tensor(self.cell.bias)
        projected = tf.transpose(tf.matmul(sequences, kernel) + bias[0], (1, 0, 2))
        states = tf.custom_gradient(_states)(projected, recurrent_kernel, bias[1])
        return states[-1], tf.transpose(states, (1, 0, 2)), [states[-1]]


def _states(
    projected: Tensor, kernel: Tensor, bias: Tensor
) -> tuple[Tensor, Callable[..., tuple[Tensor, ...]]]:
    """The states [time, batch, units], and the function that computes the gradient.

    `projected`: input projections [time, batch, 3 x units]; `kernel`, `bias`: the recurrent ones.
    """
    import tensorflow as tf

    units = kernel.shape[0]
    first = tf.zeros((tf.shape(projected)[1], units), projected.dtype)

    def step(t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        update, _, candidate = _gates(projected[t], tf.matmul(state, kernel) + bias)
        state = candidate + update * (state - candidate)
        return state, state

    states = scan_steps(step, first, tf.range(tf.shape(projected)[0]))

    def gradient(by_output: Tensor) -> tuple[Tensor, ...]:
        return _gradient(by_output, states, projected, kernel, bias)

    return states, gradient


def _gradient(
    by_output: Tensor, states: Tensor, projected: Tensor, kernel: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the arguments of `_states`, from that of its states."""
    import tensorflow as tf

    units = kernel.shape[0]
    first = tf.zeros_like(states[0])
    before = tf.concat([first[None], states[:-1]], axis=0)
    recurrent = tf.matmul(before, kernel) + bias
    update, reset, candidate = _gates(projected, recurrent)
    # Derivatives of a state by the inputs of sigmoid and tanh, and by the recurrent product.
    to_update = (before - candidate) * update * (1 - update)
    to_candidate = (1 - update) * (1 - candidate * candidate)
    to_reset = to_candidate * recurrent[..., 2 * units :] * reset * (1 - reset)
    to_recurrent = tf.concat([to_update, to_reset, to_candidate * reset], axis=-1)
    transposed = tf.transpose(kernel)

    def step_back(t: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
        by_state = by_output[t] + later
        by_recurrent = tf.tile(by_state, (1, 3)) * to_recurrent[t]
        return by_state * update[t] + tf.matmul(by_recurrent, transposed), by_state

    by_state = scan_steps(step_back, first, tf.range(tf.shape(projected)[0])[::-1])[::-1]
    by_state = tf.tile(by_state, (1, 1, 3))
    by_recurrent = tf.reshape(by_state * to_recurrent, (-1, 3 * units))
    by_kernel = tf.matmul(tf.reshape(before, (-1, units)), by_recurrent, transpose_a=True)
    by_projected = by_state * tf.concat([to_update, to_reset, to_candidate], axis=-1)
    return by_projected, by_kernel, tf.reduce_sum(by_recurrent, axis=0)


def _gates(projected: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Update gate, reset gate and candidate, of one step or of all."""
    import tensorflow as tf

    units = projected.shape[-1] // 3
    both = tf.sigmoid(projected[..., : 2 * units] + recurrent[..., : 2 * units])
    update, reset = tf.split(both, 2, axis=-1)
    return update, reset, tf.tanh(projected[..., 2 * units :] + reset * recurrent[..., 2 * units :])


def scan_steps(
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], first: Tensor, times: Tensor
) -> Tensor:
    """The outputs of `step(t, state) -> (next state, output)` for each of `times`, stacked.

    `first`: the state before the first of `times`. Runs as a loop of tensorflow.
    """
    import tensorflow as tf

    def body(i: Tensor, state: Tensor, outputs: Any) -> tuple[Tensor, Tensor, Any]:
        state, output = step(times[i], state)
        return i + 1, state, outputs.write(i, output)

    count = tf.shape(times)[0]
    outputs = tf.TensorArray(first.dtype, count, element_shape=first.shape)
    _, _, outputs = tf.while_loop(lambda i, *_: i < count, body, (0, first, outputs))
    return outputs.stack()
