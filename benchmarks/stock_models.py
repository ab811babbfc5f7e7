"""Rebuilds a trained network from stock Keras layers and converts it in a usual way.

    python benchmarks/stock_models.py RUN "while int8" -o stock.tflite

The converter can crash (tensorflow#76672), so each conversion is a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf

from ds2edge.convert.tflite import run_converter
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import ConvolutionLayer, LookaheadLayer, RecurrentLayer
from ds2edge.train.run import Run

CORPUS = Path(str(files("ds2edge.train"))) / "data" / "mini" / "manifest.jsonl"
CLIPS = 8  # about 15 seconds of speech to calibrate on, and as much to compare on


@dataclass(frozen=True)
class Way:
    """One way to convert a model."""

    what: str
    precision: str  # float32, dynamic or int8
    unroll: bool = False
    # An LSTM of tf_keras, which the converter turns into one operation.
    fused: bool = False


WAYS = {
    "while float32": Way("Keras GRU, a WHILE loop", "float32"),
    "while dynamic": Way("Keras GRU, a WHILE loop", "dynamic"),
    "while int8": Way("Keras GRU, a WHILE loop", "int8"),
    "unrolled float32": Way("Keras GRU, unroll=True", "float32", unroll=True),
    "unrolled dynamic": Way("Keras GRU, unroll=True", "dynamic", unroll=True),
    "unrolled int8": Way("Keras GRU, unroll=True", "int8", unroll=True),
    "fused LSTM float32": Way("tf_keras LSTM, fused (other weights)", "float32", fused=True),
    "fused LSTM int8": Way("tf_keras LSTM, fused (other weights)", "int8", fused=True),
}


def speech(run: Run, chunk_frames: int, split: str) -> Iterator[np.ndarray]:
    """Chunks of frames [1, chunk_frames, bins] from clips of the embedded corpus."""
    specification = run.specification
    rate = specification.features.sample_rate
    clips = read_manifest(CORPUS, split)[:CLIPS]
    samples = np.concatenate([read_audio(clip.audio, rate) for clip in clips])
    frames = specification.front_end()(samples)
    for start in range(0, len(frames) - chunk_frames + 1, chunk_frames):
        yield frames[None, start : start + chunk_frames]


class StockModel:
    """The step graph out of stock Keras layers, with the weights of a trained network.

    `keras` is Keras 3 or tf_keras. States are inputs and outputs with names, except the states of a
    fused LSTM: its operation keeps them itself.
    """

    def __init__(self, model: DeepSpeech2, chunk_steps: int, way: Way, keras: Any) -> None:
        self._way = way
        self._keras = keras
        self._states: dict[str, Any] = {}
        self._next_states: dict[str, Any] = {}
        # Layers and their weights, which can be set only when the model is built.
        self._weights: list[tuple[Any, list[np.ndarray]]] = []
        shape = (chunk_steps * model.settings.time_stride, model.bins)
        features = keras.Input(shape, batch_size=1, name="features")
        x = keras.layers.Reshape((*shape, 1))(features)
        for layer in model.convolutions:
            x = self._convolution(x, layer)
        x = keras.layers.Reshape((chunk_steps, x.shape[2] * x.shape[3]))(x)
        for layer in model.recurrences:
            x = self._recurrence(x, layer)
        for layer in model.lookaheads:
            x = self._lookahead(x, layer)
        x = self._apply(keras.layers.BatchNormalization(), x, model.norm)
        dense = keras.layers.Dense(model.dense.units, name="logits")
        logits = self._apply(dense, x, model.dense)
        inputs = {"features": features, **self._states}
        self.keras_model = keras.Model(inputs, {"logits": logits, **self._next_states})
        for layer, weights in self._weights:
            layer.set_weights(weights)

    def _convolution(self, x: Any, trained: ConvolutionLayer) -> Any:
        layers = self._keras.layers
        if trained.past:
            x = self._after_past(trained.name, x, trained.past)
        x = layers.ZeroPadding2D(((0, 0), trained.padding))(x)
        filters = trained.convolution.filters
        convolution = layers.Conv2D(filters, trained.kernel_size, trained.stride, use_bias=False)
        x = self._apply(convolution, x, trained.convolution)
        return layers.ReLU(6.0)(self._apply(layers.BatchNormalization(), x, trained.norm))

    def _recurrence(self, x: Any, trained: RecurrentLayer) -> Any:
        layers = self._keras.layers
        units = trained.units
        x = self._apply(layers.BatchNormalization(), x, trained.norm)
        if self._way.fused:
            return layers.LSTM(units, return_sequences=True)(x)
        gru = layers.GRU(units, return_sequences=True, return_state=True, unroll=self._way.unroll)
        name = f"{trained.name}_h"
        state = self._state(name, (units,))
        x, next_state = self._apply(gru, x, trained.recurrence, initial_state=state)
        self._next_states[f"{name}_next"] = next_state
        return x

    def _lookahead(self, x: Any, trained: LookaheadLayer) -> Any:
        x = self._after_past(trained.name, x, trained.lookahead)
        size = trained.lookahead + 1
        layer = self._keras.layers.DepthwiseConv1D(size, use_bias=False)
        return self._apply(layer, x, trained.convolution)

    def _state(self, name: str, shape: tuple[int, ...]) -> Any:
        state = self._keras.Input(shape, batch_size=1, name=name)
        self._states[name] = state
        return state

    def _after_past(self, name: str, x: Any, past: int) -> Any:
        """`x` after the last `past` rows of the chunk before, which are a state."""
        layers = self._keras.layers
        state = self._state(name, (past, *x.shape[2:]))
        x = layers.Concatenate(axis=1)([state, x])
        last_rows = layers.Lambda(lambda y: y[:, -past:], name=f"{name}_next")
        self._next_states[f"{name}_next"] = last_rows(x)
        return x

    def _apply(self, layer: Any, x: Any, trained: Any, **options: Any) -> Any:
        self._weights.append((layer, trained.get_weights()))
        return layer(x, **options)


def representative(stock: Any, run: Run, chunk_frames: int) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of the float model on speech, with the states that it computes itself."""
    step = tf.function(stock)
    states = {_name(x): np.zeros(x.shape, np.float32) for x in stock.inputs}
    for frames in speech(run, chunk_frames, "train"):
        inputs = {**states, "features": frames}
        yield inputs
        outputs = step({name: tf.constant(value) for name, value in inputs.items()})
        states = {name: outputs[f"{name}_next"].numpy() for name in states if name != "features"}


def convert_stock(run: Run, way: Way, chunk_steps: int) -> bytes:
    """Converts the best epoch of a run as the guide of LiteRT says.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization
    """
    if way.fused:
        import tf_keras as keras
    else:
        import keras
    stock = StockModel(run.best_model(), chunk_steps, way, keras).keras_model
    # With a variable batch size, LiteRT has no operation for the loop. So all shapes are fixed.
    signature = {_name(x): tf.TensorSpec(x.shape, tf.float32, _name(x)) for x in stock.inputs}
    step = tf.function(lambda inputs: stock(inputs), [signature])
    with tempfile.TemporaryDirectory() as folder:
        if way.fused:
            tf.saved_model.save(stock, folder, signatures={"step": step})
        else:
            archive = keras.export.ExportArchive()
            archive.track(stock)
            archive.add_endpoint("step", step)
            archive.write_out(folder, verbose=False)
        frames = chunk_steps * run.recipe.model.time_stride
        return convert_saved_model(
            folder, way.precision, lambda: representative(stock, run, frames)
        )


def convert_saved_model(
    folder: str, precision: str, calibration: Callable[[], Iterable[dict[str, np.ndarray]]]
) -> bytes:
    """Converts the endpoint `step`. For int8 the converter calibrates on `calibration`."""
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "int8":
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return run_converter(converter)


def _name(x: Any) -> str:
    return x.name.split(":")[0]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("name", metavar="WAY", type=click.Choice(list(WAYS)))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Output file (.tflite).",
)
@click.option(
    "--chunk-steps",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Output steps in a chunk.",
)
def main(run: Path, name: str, output: Path, chunk_steps: int) -> None:
    """Convert the best epoch of RUN in a usual WAY."""
    opened = Run.open(run)
    if (opened.recipe.model.layer_kind, opened.recipe.model.direction) != ("gru", "forward"):
        raise click.UsageError(f"{run}: only forward GRUs are compared")
    output.write_bytes(convert_stock(opened, WAYS[name], chunk_steps))


if __name__ == "__main__":
    main()
