"""Texts of a batch, by the whole-sequence model in Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import Decoder

if TYPE_CHECKING:
    from ds2edge.train.model.deepspeech2 import DeepSpeech2


def decode_batch(
    model: DeepSpeech2, inputs: dict[str, Any], decoder: Callable[[], Decoder]
) -> Iterator[str]:
    """Yields the text of each row of a batch.

    `inputs` are "features" [rows, frames, bins] and "lengths" [rows] in frames. `decoder` makes a
    new decoder.
    """
    for logits in batch_logits(model, inputs):
        row_decoder = decoder()
        row_decoder.accept(logits)
        yield row_decoder.text()


def batch_logits(model: DeepSpeech2, inputs: dict[str, Any]) -> Iterator[npt.NDArray[np.float32]]:
    """Yields the logits [steps, symbols] of each row of a batch; `inputs` as of `decode_batch`."""
    import keras

    logits = np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(inputs)), np.float32)
    # Under MirroredStrategy every device computes the whole batch, so there are more rows of logits
    # than lengths.
    for row, length in zip(logits, model.output_lengths(inputs["lengths"]), strict=False):
        yield row[:length]
