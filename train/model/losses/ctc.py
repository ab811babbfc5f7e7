"""The CTC loss (Graves et al. 2006) with the fastest kernel of each Keras backend."""

from __future__ import annotations

import keras
from keras import ops

from ds2edge.runtime.decoding.ctc import BLANK
from ds2edge.train.model.tensor import Tensor


def ctc_loss(labels: Tensor, logits: Tensor, label_lengths: Tensor, steps: Tensor) -> Tensor:
    """CTC loss [batch] of logits [batch, time, symbols], of which `steps` [batch] are real.

    `labels` [batch, n] are padded with blanks.

    Keras's loss under tensorflow visits every pair of letters of a text at every step, which takes
    most of the time of training on sentences. tensorflow's kernel for sparse labels does not. It
    runs on the CPU, even where the rest runs on a GPU.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.ctc_loss(labels, logits, label_lengths, steps, mask_index=BLANK)
    import tensorflow as tf

    # The kernel refuses a text without letters. An empty row, whose loss has no weight, gets one.
    labels = ops.concatenate([ops.maximum(labels[:, :1], 1), labels[:, 1:]], axis=1)
    sparse = tf.sparse.from_dense(labels)
    return tf.compat.v1.nn.ctc_loss(
        sparse.with_values(sparse.values - 1),  # for this kernel the blank comes last
        ops.roll(ops.cast(logits, "float32"), -1, axis=-1),
        steps,
        ignore_longer_outputs_than_inputs=True,  # scan_dataset leaves such clips out
        time_major=False,
    )
