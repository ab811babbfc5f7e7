"""Converts a SavedModel to a .tflite flatbuffer with the same signatures."""

from __future__ import annotations

import warnings
from pathlib import Path

import tensorflow as tf


def quantize(saved_model: Path, names: list[str], mode: str) -> bytes:
    """Converts the endpoints `names`. Inputs and outputs stay float32 in every mode.

    For int8 and armv7 the SavedModel must hold a range for every value (see export.py). The
    converter then quantizes everything without observing data: int8 has one scale for each
    output channel of a weight, armv7 one scale for all weights of a dense layer.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    # tflite-runtime 2.14.0, the only interpreter for 32-bit Arm, crashes with a segmentation fault
    # on dense weights per channel (with several rows and no bias). This private switch is the only
    # one that changes dense layers alone.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = mode == "armv7"
    return run_converter(converter)


def run_converter(converter: tf.lite.TFLiteConverter) -> bytes:
    """The flatbuffer. Hides the warning that tensorflow's own interpreter is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        flatbuffer: bytes = converter.convert()
    return flatbuffer
