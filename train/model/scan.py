"""The linear recurrence c[t] = forget[t] c[t-1] + increment[t] over whole sequences."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from ds2edge.train.model.fast_gru import scan_steps
from ds2edge.train.model.tensor import Tensor


def scan(forget: Tensor, increment: Tensor) -> Tensor:
    """The states c of two float32 tensors [batch, time, units]; c is 0 before the first step.

    The gradient is the same recurrence backward in time, so training stores nothing but the states.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.custom_gradient(_scan_tensorflow)(forget, increment)
    if keras.backend.backend() == "torch" and increment.is_cuda:
        from ds2edge.train.model.scan_cuda import Scan

        return Scan.apply(forget, increment)
    return ops.associative_scan(_compose, (forget, increment), axis=1)[1]


def _compose(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two steps as one step."""
    return first[0] * second[0], second[0] * first[1] + second[1]


def _scan_tensorflow(forget: Tensor, increment: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
    """The states, and the function that computes the gradient."""
    import tensorflow as tf

    forget = tf.transpose(forget, (1, 0, 2))
    increment = tf.transpose(increment, (1, 0, 2))
    count = tf.shape(increment)[0]

    def step(t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = forget[t] * state + increment[t]
        return state, state

    states = scan_steps(step, tf.zeros_like(increment[0]), tf.range(count))

    def gradient(by_output: Tensor) -> tuple[Tensor, Tensor]:
        by_output = tf.transpose(by_output, (1, 0, 2))

        def step_back(t: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
            by_state = by_output[t] + later
            return forget[t] * by_state, by_state

        by_state = scan_steps(step_back, tf.zeros_like(increment[0]), tf.range(count)[::-1])[::-1]
        before = tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)
        return tf.transpose(by_state * before, (1, 0, 2)), tf.transpose(by_state, (1, 0, 2))

    return tf.transpose(states, (1, 0, 2)), gradient
