"""The CTC loss: under tensorflow it is not Keras's own, but gives the same values."""

import keras
import numpy as np
import pytest
from keras import ops

from ds2edge.train.model.losses.ctc import ctc_loss

LABELS = np.array([[3, 3, 5, 0, 0], [1, 2, 3, 4, 28], [7, 0, 0, 0, 0]], np.int32)
LENGTHS = np.array([3, 5, 1], np.int32)
STEPS = np.array([30, 20, 9], np.int32)
LOGITS = (3 * np.random.default_rng(0).standard_normal((3, 30, 29))).astype(np.float32)


def test_the_loss_is_that_of_keras():
    expected = ops.ctc_loss(LABELS, LOGITS, LENGTHS, STEPS, mask_index=0)
    np.testing.assert_allclose(
        ctc_loss(LABELS, ops.convert_to_tensor(LOGITS), LENGTHS, STEPS), expected, rtol=1e-4
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends use Keras's own"
)
def test_its_gradient_is_that_of_keras_and_an_empty_row_adds_nothing():
    import tensorflow as tf

    @tf.function
    def gradient(loss, labels, lengths, steps, weights):
        logits = tf.constant(LOGITS)[: len(labels)]
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = tf.reduce_sum(loss(labels, logits, lengths, steps) * weights)
        return tape.gradient(total, logits)

    def of_keras(labels, logits, lengths, steps):
        return ops.ctc_loss(labels, logits, lengths, steps, mask_index=0)

    expected = gradient(of_keras, LABELS, LENGTHS, STEPS, np.ones(3, np.float32))
    np.testing.assert_allclose(
        gradient(ctc_loss, LABELS, LENGTHS, STEPS, np.ones(3, np.float32)), expected, atol=1e-4
    )
    row_is_real = np.array([1, 1, 0], np.int32)
    with_empty_row = gradient(
        ctc_loss,
        LABELS * row_is_real[:, None],
        LENGTHS * row_is_real,
        np.array([30, 20, 1], np.int32),
        row_is_real.astype(np.float32),
    )
    np.testing.assert_allclose(with_empty_row[:2], expected[:2], atol=1e-4)
    assert not np.asarray(with_empty_row[2]).any()
