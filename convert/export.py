"""From a trained model to a SavedModel of its step graph, with everything by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ds2edge.runtime.network import Logits, States
from ds2edge.runtime.specification import Graph, Specification, State
from ds2edge.train.model import DeepSpeech2
from ds2edge.train.quantization import FLOAT, Quantizer, Range


def step_graph(model: DeepSpeech2, mode: str, chunk_steps: int) -> Graph:
    """Shape of the graph that `model` becomes when it is unrolled over `chunk_steps` output steps."""
    states = tuple(State(name, shape) for name, shape in model.state_shapes().items())
    shape = model.settings
    return Graph(mode, chunk_steps, shape.time_stride, shape.warmup, shape.lookahead, states)


class FloatNetwork:
    """The Keras model as a network that streams: what the 16-bit mode is calibrated with."""

    def __init__(self, model: DeepSpeech2, specification: Specification) -> None:
        """`specification` must describe a graph."""
        assert specification.graph is not None
        self.specification, self.graph = specification, specification.graph
        self._step = tf.function(model.step)

    def initial_states(self) -> States:
        """Zeros."""
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        """As `ds2edge.runtime.network.Network.step`."""
        logits, following = self._step(tf.constant(frames[None]), {k: tf.constant(v) for k, v in states.items()})
        return logits.numpy()[0], {name: value.numpy() for name, value in following.items()}


class RangesInGraph(Quantizer):
    """Writes the range of every point into the graph, as quantization-aware training does: the converter takes them
    from there and calibrates nothing."""

    def __init__(self, ranges: dict[str, Range]) -> None:
        self.ranges = ranges

    def __call__(self, point: str, x: Any, fixed: Range | None = None) -> Any:
        """See Quantizer. KeyError for a point without a range."""
        low, high = fixed or self.ranges[point]
        return tf.quantization.fake_quant_with_min_max_args(x, low, high)


def export(model: DeepSpeech2, graph: Graph, folder: Path, quantizer: Quantizer = FLOAT) -> None:
    """Writes a SavedModel whose endpoint `step` maps `features` and states to `logits` and next states."""

    def step(inputs: dict[str, Any]) -> dict[str, Any]:
        logits, following = model.step(inputs["features"], inputs, quantizer)
        return {"logits": logits} | {state.output: following[state.name] for state in graph.states}

    shapes = {"features": (1, graph.chunk_frames, model.bins)} | {state.name: state.shape for state in graph.states}
    signature = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
    archive = keras.export.ExportArchive()
    archive.track(model)  # without it the variables are written as NaN, silently
    archive.add_endpoint("step", step, [signature])
    archive.write_out(str(folder), verbose=False)
