"""The difference between the outputs for two views of a clip."""

from __future__ import annotations

from keras import ops

from ds2edge.train.model.tensor import Tensor


def view_divergence(logits: Tensor, steps: Tensor) -> Tensor:
    """How much each row differs from the other view of its clip: [batch], nats per clip.

    `logits` [batch, steps, symbols], rows in pairs; `steps` [batch] real ones. It is the
    Kullback-Leibler divergence from the other view, which gets no gradient, summed over the steps
    (CR-CTC, arXiv 2410.05101, section 3.2).
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"))
    length, symbols = ops.shape(logits)[1], logits.shape[2]
    pairs = ops.reshape(log_probs, (-1, 2, length, symbols))
    other = ops.reshape(ops.stop_gradient(ops.flip(pairs, axis=1)), (-1, length, symbols))
    divergence = ops.sum(ops.exp(other) * (other - log_probs), axis=-1)
    real = ops.arange(length) < ops.expand_dims(steps, 1)
    return ops.sum(ops.where(real, divergence, 0.0), axis=-1)
