"""The trained network out of stock Keras layers, and the ways in which others convert those.

    python benchmarks/stock_models.py RUN "while int8" -o stock.tflite

One conversion, in a process of its own: the converter has been seen to crash (tensorflow#76672).
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
from ds2edge.train.run import Run

CORPUS = Path(str(files("ds2edge.train"))) / "data" / "mini" / "manifest.jsonl"
CLIPS = 8  # some 15 seconds of speech: to calibrate on, and to compare on others


@dataclass(frozen=True)
class Way:
    """How to convert."""

    what: str
    precision: str  # float32, dynamic or int8
    unroll: bool = False
    fused: bool = False  # LSTM of tf_keras, which the converter makes one operation of


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
    """Chunks of frames [1, chunk_frames, bins] of some of the embedded corpus."""
    specification = run.specification
    rate = specification.features.sample_rate
    clips = read_manifest(CORPUS, split)[:CLIPS]
    samples = np.concatenate([read_audio(clip.audio, rate) for clip in clips])
    frames = specification.front_end()(samples)
    for first in range(0, len(frames) - chunk_frames + 1, chunk_frames):
        yield frames[None, first : first + chunk_frames]


def stock_model(model: DeepSpeech2, chunk_steps: int, way: Way, keras: Any) -> Any:
    """The step graph in layers of `keras` (Keras 3 or tf_keras), a Keras model from names to names, with the weights.

    States go in and out by name, but for a fused LSTM's: its operation keeps them itself.
    """
    layers, settings = keras.layers, model.settings
    states: dict[str, Any] = {}
    following: dict[str, Any] = {}
    copies: list[tuple[Any, list[np.ndarray]]] = []

    def state(name: str, shape: tuple[int, ...]) -> Any:
        return states.setdefault(name, keras.Input(shape, batch_size=1, name=name))

    def remember(name: str, x: Any, kept: int) -> Any:
        """`x` after the last `kept` steps of what came before, which are kept anew."""
        x = layers.Concatenate(axis=1)([state(name, (kept, *x.shape[2:])), x])
        following[f"{name}_next"] = layers.Lambda(lambda y: y[:, -kept:], name=f"{name}_next")(x)
        return x

    def apply(layer: Any, x: Any, weights: list[np.ndarray], **options: Any) -> Any:
        copies.append((layer, weights))
        return layer(x, **options)

    frames = keras.Input(
        (chunk_steps * settings.time_stride, model.bins), batch_size=1, name="features"
    )
    x = layers.Reshape((*frames.shape[1:], 1))(frames)
    for own in model.convolutions:
        x = remember(own.name, x, own.past) if own.past else x
        x = layers.ZeroPadding2D(((0, 0), own.padding))(x)
        convolution = layers.Conv2D(
            own.convolution.filters, own.kernel_size, own.stride, use_bias=False
        )
        x = apply(convolution, x, own.convolution.get_weights())
        x = layers.ReLU(6.0)(apply(layers.BatchNormalization(), x, own.norm.get_weights()))
    x = layers.Reshape((chunk_steps, x.shape[2] * x.shape[3]))(x)
    for own in model.recurrences:
        x = apply(layers.BatchNormalization(), x, own.norm.get_weights())
        if way.fused:
            x = layers.LSTM(own.units, return_sequences=True)(x)
            continue
        gru = layers.GRU(own.units, return_sequences=True, return_state=True, unroll=way.unroll)
        x, after = apply(
            gru, x, own.recurrence.get_weights(), initial_state=state(f"{own.name}_h", (own.units,))
        )
        following[f"{own.name}_h_next"] = after
    for own in model.lookaheads:
        x = remember(own.name, x, own.lookahead)
        x = apply(
            layers.DepthwiseConv1D(own.lookahead + 1, use_bias=False),
            x,
            own.convolution.get_weights(),
        )
    x = apply(layers.BatchNormalization(), x, model.norm.get_weights())
    logits = apply(layers.Dense(model.dense.units, name="logits"), x, model.dense.get_weights())
    stock = keras.Model({"features": frames, **states}, {"logits": logits, **following})
    for layer, weights in copies:
        layer.set_weights(weights)
    return stock


def representative(stock: Any, run: Run, chunk_frames: int) -> Iterator[dict[str, np.ndarray]]:
    """What goes into the float model on speech, its own states carried along."""
    step = tf.function(stock)
    states = {_name(x): np.zeros(x.shape, np.float32) for x in stock.inputs}
    for frames in speech(run, chunk_frames, "train"):
        inputs = {**states, "features": frames}
        yield inputs
        outputs = step({name: tf.constant(value) for name, value in inputs.items()})
        states = {name: outputs[f"{name}_next"].numpy() for name in states if name != "features"}


def convert_stock(run: Run, way: Way, chunk_steps: int) -> bytes:
    """As the guides to LiteRT say (https://ai.google.dev/edge/litert/conversion/tensorflow/quantization)."""
    if way.fused:
        import tf_keras as keras
    else:
        import keras
    stock = stock_model(run.best_model(), chunk_steps, way, keras)
    # Fixed shapes: with any number of clips in a batch, a loop is no operation of LiteRT.
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
    """Its endpoint `step`, the converter left to observe `calibration` where `precision` is int8."""
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
    help="The .tflite file to write.",
)
@click.option("--chunk-steps", default=16, show_default=True, type=click.IntRange(1))
def main(run: Path, name: str, output: Path, chunk_steps: int) -> None:
    """Convert the best epoch of RUN in a WAY of others."""
    opened = Run.open(run)
    if (opened.recipe.model.cell, opened.recipe.model.direction) != ("gru", "forward"):
        raise click.UsageError(f"{run}: only forward GRUs are compared")
    output.write_bytes(convert_stock(opened, WAYS[name], chunk_steps))


if __name__ == "__main__":
    main()
