"""Exports a trained model as a SavedModel with one endpoint for each signature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ds2edge.convert.signatures import Signature, signatures
from ds2edge.runtime.specification import Graph
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.quantization import FLOAT, Quantizer, Range


def describe_graph(model: DeepSpeech2, mode: str, chunk_steps: int) -> Graph:
    """The graph that `model` becomes when it is unrolled over `chunk_steps` output steps."""
    settings = model.settings
    whole_clip = settings.direction == "bidirectional"
    return Graph(
        mode=mode,
        chunk_steps=chunk_steps,
        time_stride=settings.time_stride,
        warmup=settings.warmup,
        lookahead=settings.delay,
        attention_chunk=settings.attention_chunk,
        states=tuple(
            state for signature in signatures(model, chunk_steps) for state in signature.states
        ),
        layers=tuple(layer.name for layer in model.recurrences) if whole_clip else (),
    )


class RangesInGraph(Quantizer):
    """Writes the range of every quantization point into the graph as a fake-quantization operation.

    The converter takes the ranges from there and needs no calibration of its own.
    """

    def __init__(self, ranges: dict[str, Range]) -> None:
        self.ranges = ranges

    def __call__(self, point: str, x: Any, fixed: Range | None = None) -> Any:
        """See Quantizer. KeyError for a point without a range."""
        low, high = fixed or self.ranges[point]
        return tf.quantization.fake_quant_with_min_max_args(x, low, high)

    def relu(self, point: str, x: Any) -> Any:
        """See Quantizer. The range begins at 0, so its clipping is the ReLU.

        BATCH_MATMUL has no fused ReLU: a separate one would need a range of its own before it.
        """
        return self(point, x)

    def clip(self, point: str, x: Any, limit: float) -> Any:
        """See Quantizer. The range lies within the limits, so it clips."""
        return self(point, x)


def export(
    model: DeepSpeech2, chunk_steps: int, folder: Path, quantizer: Quantizer = FLOAT
) -> list[str]:
    """Writes a SavedModel to `folder`. Returns the names of its endpoints.

    Each endpoint maps its input and states to its output and next states, all by name.
    """
    exported = signatures(model, chunk_steps)
    archive = keras.export.ExportArchive()
    archive.track(model)  # untracked variables are silently written as NaN
    for signature in exported:
        shapes = {signature.input_name: signature.input_shape}
        shapes |= {state.name: state.shape for state in signature.states}
        inputs = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
        archive.add_endpoint(signature.name, _endpoint(signature, quantizer), [inputs])
    archive.write_out(str(folder), verbose=False)
    return [signature.name for signature in exported]


def _endpoint(
    signature: Signature, quantizer: Quantizer
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        output, next_states = signature.call(inputs[signature.input_name], inputs, quantizer)
        outputs = {state.output: next_states[state.name] for state in signature.states}
        return {signature.output_name: output} | outputs

    return call
