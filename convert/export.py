"""From a trained model to a SavedModel of its parts, with everything by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ds2edge.convert.signatures import Part, parts
from ds2edge.runtime.network import Logits, Rows, States
from ds2edge.runtime.specification import Graph, Specification
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.quantization import FLOAT, Quantizer, Range


def step_graph(model: DeepSpeech2, mode: str, chunk_steps: int) -> Graph:
    """Shape of the graph that `model` becomes when it is unrolled over `chunk_steps` output steps."""
    shape = model.settings
    states = tuple(state for part in parts(model, chunk_steps) for state in part.states)
    layers = (
        tuple(layer.name for layer in model.recurrences)
        if shape.direction == "bidirectional"
        else ()
    )
    return Graph(
        mode, chunk_steps, shape.time_stride, shape.warmup, shape.delay, states, layers=layers
    )


class FloatNetwork:
    """The Keras model as a network of the runtime: what the 16-bit mode is calibrated with."""

    def __init__(self, model: DeepSpeech2, specification: Specification) -> None:
        """`specification` must describe a graph."""
        assert specification.graph is not None
        self.specification, self.graph = specification, specification.graph
        self.parts = {part.name: part for part in parts(model, self.graph.chunk_steps)}
        self._calls = {name: tf.function(part.call) for name, part in self.parts.items()}

    def initial_states(self) -> States:
        """Zeros."""
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """As `ds2edge.runtime.network.Network.step`."""
        logits, following = self.run("step", frames[None], states)
        return logits[0], following

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        """As `ds2edge.runtime.network.Network.run`."""
        own = {state.name: tf.constant(states[state.name]) for state in self.parts[part].states}
        output, following = self._calls[part](tf.constant(x), own)
        return output.numpy(), states | {name: value.numpy() for name, value in following.items()}


class RangesInGraph(Quantizer):
    """Writes the range of every point into the graph, as quantization-aware training does: the converter takes them
    from there and calibrates nothing."""

    def __init__(self, ranges: dict[str, Range]) -> None:
        self.ranges = ranges

    def __call__(self, point: str, x: Any, fixed: Range | None = None) -> Any:
        """See Quantizer. KeyError for a point without a range."""
        low, high = fixed or self.ranges[point]
        return tf.quantization.fake_quant_with_min_max_args(x, low, high)


def export(
    model: DeepSpeech2, graph: Graph, folder: Path, quantizer: Quantizer = FLOAT
) -> list[str]:
    """Writes a SavedModel with an endpoint for every part, which maps its input and states to its output and next
    states. Returns the names of the endpoints."""
    found = parts(model, graph.chunk_steps)
    archive = keras.export.ExportArchive()
    archive.track(model)  # without it the variables are written as NaN, silently
    for part in found:
        shapes = {part.input: part.shape} | {state.name: state.shape for state in part.states}
        signature = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
        archive.add_endpoint(part.name, _endpoint(part, quantizer), [signature])
    archive.write_out(str(folder), verbose=False)
    return [part.name for part in found]


def _endpoint(part: Part, quantizer: Quantizer) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        output, following = part.call(inputs[part.input], inputs, quantizer)
        return {part.output: output} | {
            state.output: following[state.name] for state in part.states
        }

    return call
