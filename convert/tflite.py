"""The converter behind one function: a SavedModel in, a .tflite flatbuffer with the same signatures out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from ds2edge.convert.representative_dataset import Inputs


def quantize(
    saved_model: Path, names: list[str], mode: str, representative: Iterable[Inputs] = ()
) -> bytes:
    """Converts the endpoints `names` of a SavedModel; their edges stay float32 in every mode.

    int8 and armv7: the SavedModel holds a range for everything that flows in it (see export.py), so that the converter
    need not observe anything: int8 throughout, weights per channel; armv7 has one scale for a dense layer's weights.
    int16x8: `representative` inputs, each with the name of its endpoint, are observed by the converter itself.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode == "int16x8":
        converter.representative_dataset = lambda: iter(representative)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    # On dense weights per channel (several rows, no bias) tflite-runtime 2.14.0, the only interpreter for 32-bit Arm,
    # dies of a segmentation fault. This switch is private, but the only one for dense layers alone.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = mode == "armv7"
    return run_converter(converter)


def run_converter(converter: tf.lite.TFLiteConverter) -> bytes:
    """What it makes, without its word that its own interpreter, which it calibrates with, is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        flatbuffer: bytes = converter.convert()
    return flatbuffer
