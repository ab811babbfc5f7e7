"""The quantizer behind one function: a SavedModel of a step graph in, a .tflite flatbuffer out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from ds2edge.convert import INT8_MODES
from ds2edge.convert.calibration import Inputs


def quantize(saved_model: Path, mode: str, calibration: Iterable[Inputs]) -> bytes:
    """Converts the endpoint `step`; `calibration` is read in the int8 modes only.

    The graph's edges stay float32 in every mode; between them int8 has nothing but int8 (weights per channel,
    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant), and so has armv7,
    whose dense weights have one scale per tensor.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["step"])
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in INT8_MODES:
        converter.representative_dataset = lambda: iter(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # On dense weights per channel (several rows, no bias) tflite-runtime 2.14.0, the only interpreter for 32-bit Arm,
    # dies of a segmentation fault. This switch is private, but the only one for dense layers alone.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = mode == "armv7"
    with warnings.catch_warnings():  # the converter calibrates with its own interpreter, which it calls deprecated
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        flatbuffer: bytes = converter.convert()
    return flatbuffer
