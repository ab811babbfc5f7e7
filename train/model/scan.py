"""The linear recurrence c[t] = forget[t] c[t-1] + taken[t] over whole sequences, for each backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model.fast_gru import scan_steps

Tensor = Any


def scan(forget: Tensor, taken: Tensor) -> Tensor:
    """States c of two float32 tensors [batch, time, units]; c is 0 before the first step.

    Its gradient is the same recurrence backward in time, so nothing but the states is kept for it.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.custom_gradient(_tensorflow)(forget, taken)
    if keras.backend.backend() == "torch" and taken.is_cuda:
        from ds2edge.train.model.scan_cuda import Scan

        return Scan.apply(forget, taken)
    return ops.associative_scan(_compose, (forget, taken), axis=1)[1]


def _compose(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two steps as one."""
    return first[0] * second[0], second[0] * first[1] + second[1]


def _tensorflow(forget: Tensor, taken: Tensor) -> Any:
    """States, and the function of the gradient."""
    import tensorflow as tf

    forget, taken = (tf.transpose(x, (1, 0, 2)) for x in (forget, taken))
    count = tf.shape(taken)[0]

    def step(t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = forget[t] * state + taken[t]
        return state, state

    states = scan_steps(step, tf.zeros_like(taken[0]), tf.range(count))

    def gradient(by_output: Tensor) -> tuple[Tensor, Tensor]:
        by_output = tf.transpose(by_output, (1, 0, 2))

        def step_back(t: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
            by_state = by_output[t] + later
            return forget[t] * by_state, by_state

        by_state = scan_steps(step_back, tf.zeros_like(taken[0]), tf.range(count)[::-1])[::-1]
        before = tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)
        return tf.transpose(by_state * before, (1, 0, 2)), tf.transpose(by_state, (1, 0, 2))

    return tf.transpose(states, (1, 0, 2)), gradient
