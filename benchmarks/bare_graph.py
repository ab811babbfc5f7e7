"""The products of a model's step graph and nothing else: convolutions and matmuls of the same shapes and weights.

No element-wise operations, no states, and no step waits for another one. What remains beside the products are the
copies without which they would have nothing to read: padding, a row for each step, the rows joined again.
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
    """What one run of a step graph must do at least."""

    recurrent_bytes: int  # of int8 weights that every step reads
    other_bytes: int  # of int8 weights that are read once a chunk
    steps: int
    macs: int  # multiplications, each with its addition

    @property
    def bytes(self) -> int:
        """Read per chunk."""
        return self.steps * self.recurrent_bytes + self.other_bytes


def work(model: DeepSpeech2, steps: int) -> Work:
    """Counted from the shapes of the weights."""
    recurrent = sum(
        layer.recurrence.cell.recurrent_kernel.shape.num_elements() for layer in model.recurrences
    )
    projections = sum(
        layer.recurrence.cell.kernel.shape.num_elements() for layer in model.recurrences
    )
    once = projections + sum(
        layer.convolution.kernel.shape.num_elements() for layer in model.lookaheads
    )
    once += model.dense.kernel.shape.num_elements()
    macs, times, convolutions = steps * (recurrent + once), steps * model.settings.time_stride, 0
    for layer in model.convolutions:
        times //= layer.stride[0]
        weights = layer.convolution.kernel.shape.num_elements()
        convolutions += weights
        macs += times * layer.out_bins * weights
    return Work(recurrent, once + convolutions, steps, macs)


def write_bare_graph(model: DeepSpeech2, specification: Specification, path: Path) -> None:
    """Converts the products to int8 and writes a file that `Network` runs. `specification` is of the whole graph."""
    graph = specification.graph
    assert graph is not None

    def step(features: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.expand_dims(features, -1)
        for layer in model.convolutions:
            x = tf.pad(x, ((0, 0), (layer.past, 0), (0, 0), (0, 0)))
            x = convolve_space_to_depth(x, layer.convolution.kernel.value, layer.stride, layer.padding)
        x = tf.reshape(x, (graph.chunk_steps, -1))
        for layer in model.recurrences:
            x = _recurrence(x, layer)
        for layer in model.lookaheads:
            x = _lookahead(x, layer)
        return {"logits": tf.expand_dims(tf.matmul(x, model.dense.kernel.value), 0)}

    shape = (1, graph.chunk_frames, model.bins)
    module = tf.Module()
    module.weights = [
        weight.value for weight in model.weights
    ]  # untracked, they would not be saved
    module.step = tf.function(step, [tf.TensorSpec(shape, tf.float32, "features")])
    rng = np.random.default_rng(0)

    def calibration() -> Iterator[dict[str, np.ndarray]]:
        for _ in range(4):
            yield {"features": rng.standard_normal(shape).astype(np.float32)}

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"step": module.step})
        path.write_bytes(convert_saved_model(folder, "int8", calibration))
    attach_specification(
        path, dataclasses.replace(specification, graph=dataclasses.replace(graph, states=()))
    )


def _recurrence(x: tf.Tensor, layer: RecurrentLayer) -> tf.Tensor:
    """One product for the whole chunk, then one for each step, all on the same weights."""
    weights, steps = layer.recurrence.cell, x.shape[0]
    projected, recurrent = tf.matmul(x, weights.kernel.value), weights.recurrent_kernel.value
    rows = [tf.slice(projected, (step, 0), (1, layer.units)) for step in range(steps)]
    products = concatenate_steps([tf.matmul(row, recurrent) for row in rows])
    return tf.slice(products, (0, 0), (steps, layer.units))


def _lookahead(x: tf.Tensor, layer: LookaheadLayer) -> tf.Tensor:
    rows, units = x.shape[0] + layer.lookahead, layer.units
    image = tf.reshape(tf.pad(x, ((layer.lookahead, 0), (0, 0))), (1, rows, 1, units))
    kernel = tf.expand_dims(layer.convolution.kernel.value, 1)
    return tf.reshape(
        tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), "VALID"), (x.shape[0], units)
    )
