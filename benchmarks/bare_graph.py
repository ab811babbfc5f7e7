"""The convolutions and matrix products of a step graph alone, with the same shapes and weights.

The graph has no element-wise operations and no states, and no step waits for another one. Besides
the products it holds only the copies that these need: padding, one row for each step, and the rows
joined again.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from stock_models import convert_saved_model

from ds2edge.runtime.specification import Specification, attach_specification
from ds2edge.train.model.convolution import convolve_space_to_depth
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import LookaheadLayer, RecurrentLayer, concatenate_steps


@dataclasses.dataclass(frozen=True)
class Work:
    """The least work in one run of a step graph."""

    recurrent_bytes: int  # int8 weights that every step reads
    other_bytes: int  # int8 weights that are read once in a chunk
    steps: int
    # Multiplications, each with its addition.
    macs: int

    @property
    def bytes(self) -> int:
        """Bytes of weights that are read in one chunk."""
        return self.steps * self.recurrent_bytes + self.other_bytes


def work(model: DeepSpeech2, steps: int) -> Work:
    """Counts the work of a chunk of `steps` from the shapes of the weights."""
    cells = [layer.recurrence.cell for layer in model.recurrences]
    recurrent = sum(_size(cell.recurrent_kernel) for cell in cells)
    projections = sum(_size(cell.kernel) for cell in cells)
    lookaheads = sum(_size(layer.convolution.kernel) for layer in model.lookaheads)
    dense = projections + lookaheads + _size(model.dense.kernel)
    macs = steps * (recurrent + dense)
    rows = steps * model.settings.time_stride
    convolutions = 0
    for layer in model.convolutions:
        rows //= layer.stride[0]
        weights = _size(layer.convolution.kernel)
        convolutions += weights
        macs += rows * layer.out_bins * weights
    return Work(recurrent, dense + convolutions, steps, macs)


def _size(weight: tf.Variable) -> int:
    size: int = weight.shape.num_elements()
    return size


def write_bare_graph(model: DeepSpeech2, specification: Specification, path: Path) -> None:
    """Converts the products to int8 and writes a file that `Network` runs.

    `specification` is that of the whole graph.
    """
    graph = specification.graph
    assert graph is not None
    shape = (1, graph.chunk_frames, model.bins)
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]  # untracked weights are not saved
    module.step = tf.function(
        lambda features: _products(model, graph.chunk_steps, features),
        [tf.TensorSpec(shape, tf.float32, "features")],
    )
    rng = np.random.default_rng(0)

    def calibration() -> Iterator[dict[str, np.ndarray]]:
        for _ in range(4):
            yield {"features": rng.standard_normal(shape).astype(np.float32)}

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"step": module.step})
        path.write_bytes(convert_saved_model(folder, "int8", calibration))
    bare = dataclasses.replace(specification, graph=dataclasses.replace(graph, states=()))
    attach_specification(path, bare)


def _products(model: DeepSpeech2, steps: int, features: tf.Tensor) -> dict[str, tf.Tensor]:
    x = tf.expand_dims(features, -1)
    for layer in model.convolutions:
        x = tf.pad(x, ((0, 0), (layer.past, 0), (0, 0), (0, 0)))
        x = convolve_space_to_depth(x, layer.convolution.kernel.value, layer.stride, layer.padding)
    x = tf.reshape(x, (steps, -1))
    for layer in model.recurrences:
        x = _recurrence(x, layer)
    for layer in model.lookaheads:
        x = _lookahead(x, layer)
    return {"logits": tf.expand_dims(tf.matmul(x, model.dense.kernel.value), 0)}


def _recurrence(x: tf.Tensor, layer: RecurrentLayer) -> tf.Tensor:
    """One product for the whole chunk, then one for each step, all with the same weights."""
    cell = layer.recurrence.cell
    steps = x.shape[0]
    projected = tf.matmul(x, cell.kernel.value)
    recurrent = cell.recurrent_kernel.value
    rows = [tf.slice(projected, (step, 0), (1, layer.units)) for step in range(steps)]
    products = concatenate_steps([tf.matmul(row, recurrent) for row in rows])
    return tf.slice(products, (0, 0), (steps, layer.units))


def _lookahead(x: tf.Tensor, layer: LookaheadLayer) -> tf.Tensor:
    rows = x.shape[0] + layer.lookahead
    padded = tf.pad(x, ((layer.lookahead, 0), (0, 0)))
    image = tf.reshape(padded, (1, rows, 1, layer.units))
    kernel = tf.expand_dims(layer.convolution.kernel.value, 1)
    output = tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), "VALID")
    return tf.reshape(output, (x.shape[0], layer.units))
