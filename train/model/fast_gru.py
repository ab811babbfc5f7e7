"""The GRU over whole sequences, made for tensorflow on a CPU, where Keras's own takes most of the time of training."""

from __future__ import annotations

from typing import Any

import keras

Tensor = Any


class GRU(keras.layers.GRU):
    """Keras's layer with its weights and results; on a GPU, and under other backends, its very computation.

    On tensorflow's CPU all that does not depend on the step before is computed for all steps at once: the projection of
    the input, and most of the gradient, which is written out and so needs nothing kept but the states.
    """

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Tensor, training: bool = False
    ) -> Any:
        """Last output, outputs [batch, time, units], last states. `initial_state` is zero here, and `mask` None."""
        if keras.backend.backend() != "tensorflow" or keras.distribution.list_devices("gpu"):
            return super().inner_loop(sequences, initial_state, mask, training)
        import tensorflow as tf

        kernel, recurrent, bias = map(
            tf.convert_to_tensor, (self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias)
        )
        projected = tf.transpose(tf.matmul(sequences, kernel) + bias[0], (1, 0, 2))
        states = tf.custom_gradient(_states)(projected, recurrent, bias[1])
        return states[-1], tf.transpose(states, (1, 0, 2)), [states[-1]]


def _states(projected: Tensor, kernel: Tensor, bias: Tensor) -> Any:
    """States [time, batch, units] for projected inputs [time, batch, 3 x units], and the function of the gradient."""
    import tensorflow as tf

    units = kernel.shape[0]
    first = tf.zeros((tf.shape(projected)[1], units), projected.dtype)

    def step(t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        update, _, candidate = _gates(projected[t], tf.matmul(state, kernel) + bias)
        state = candidate + update * (state - candidate)
        return state, state

    states = scan_steps(step, first, tf.range(tf.shape(projected)[0]))

    def gradient(by_output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        before = tf.concat([first[None], states[:-1]], axis=0)
        recurrent = tf.matmul(before, kernel) + bias
        update, reset, candidate = _gates(projected, recurrent)
        # Derivatives of a state by what goes into sigmoid and tanh, and by the recurrent product.
        to_update = (before - candidate) * update * (1 - update)
        to_candidate = (1 - update) * (1 - candidate * candidate)
        to_reset = to_candidate * recurrent[..., 2 * units :] * reset * (1 - reset)
        to_recurrent = tf.concat([to_update, to_reset, to_candidate * reset], axis=-1)
        transposed = tf.transpose(kernel)

        def step_back(t: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
            by_state = by_output[t] + later
            return by_state * update[t] + tf.matmul(
                tf.tile(by_state, (1, 3)) * to_recurrent[t], transposed
            ), by_state

        by_state = scan_steps(step_back, first, tf.range(tf.shape(projected)[0])[::-1])[::-1]
        by_state = tf.tile(by_state, (1, 1, 3))
        by_recurrent = tf.reshape(by_state * to_recurrent, (-1, 3 * units))
        by_kernel = tf.matmul(tf.reshape(before, (-1, units)), by_recurrent, transpose_a=True)
        by_projected = by_state * tf.concat([to_update, to_reset, to_candidate], axis=-1)
        return by_projected, by_kernel, tf.reduce_sum(by_recurrent, axis=0)

    return states, gradient


def _gates(projected: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Update, reset and candidate, of one step or of all."""
    import tensorflow as tf

    units = projected.shape[-1] // 3
    both = tf.sigmoid(projected[..., : 2 * units] + recurrent[..., : 2 * units])
    update, reset = tf.split(both, 2, axis=-1)
    return update, reset, tf.tanh(projected[..., 2 * units :] + reset * recurrent[..., 2 * units :])


def scan_steps(step: Any, first: Tensor, times: Tensor) -> Tensor:
    """What `step(t, carried)` -> (carried, made) makes at each of `times`, beginning with `first`, stacked in order."""
    import tensorflow as tf

    def body(i: Tensor, carried: Tensor, made: Any) -> tuple[Tensor, Tensor, Any]:
        carried, output = step(times[i], carried)
        return i + 1, carried, made.write(i, output)

    count = tf.shape(times)[0]
    made = tf.TensorArray(first.dtype, count, element_shape=first.shape)
    _, _, made = tf.while_loop(lambda i, *_: i < count, body, (0, first, made))
    return made.stack()
