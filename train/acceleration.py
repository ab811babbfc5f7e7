"""What makes training fast: the recurrent layers on cuDNN, which is looked for, and memory that is not given back."""

from __future__ import annotations

import ctypes
import logging
import platform
from typing import Any

import keras
import numpy as np

from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import RecurrentLayer
from ds2edge.train.recipe import Recipe

log = logging.getLogger("ds2edge")

# Parameters of glibc's allocator: `man mallopt`.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
TOP_PAD = 256 * 2**20  # bytes to ask the system for at once


def keep_freed_memory() -> None:
    """Has the process keep the memory that a step frees for the next one: on a CPU, steps take half the time.

    glibc gives large blocks back at once, so that every tensor begins as pages that the system must clear first. Other
    allocators are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD)):
            mallopt(parameter, value)


def report_devices(model: DeepSpeech2, recipe: Recipe) -> None:
    """Says in the log what will do the work; a warning where a GPU is there and its recurrent kernels are not used."""
    backend, found = keras.backend.backend(), gpus()
    precision = recipe.training.precision
    if not found:
        log.info("%s on the CPU, %s: no GPU is seen", backend, precision)
    elif model.ranges:
        log.info(
            "%s on %s, %s: each step is rounded, so the recurrent layers are off cuDNN",
            backend,
            ", ".join(found),
            precision,
        )
    elif runs_on_cudnn(model.recurrences[0]):
        log.info("%s on %s, %s, recurrent layers on cuDNN", backend, ", ".join(found), precision)
    else:
        log.warning(
            "%s on %s, %s: the %s layers are not on cuDNN and will be slow: take 'lstm' under jax, 'gru' or 'lstm' "
            "under tensorflow and torch",
            backend,
            ", ".join(found),
            precision,
            recipe.model.cell,
        )


def gpus() -> list[str]:
    """Names of the GPUs that the backend sees."""
    if keras.backend.backend() == "torch":  # Keras lists none for it
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        name
        for name in keras.distribution.list_devices()
        if name.lower().startswith(("gpu", "cuda"))
    ]


def runs_on_cudnn(layer: RecurrentLayer) -> bool:
    """Runs the layer on something small and looks at the operations that were executed for a cuDNN recurrence."""
    x = np.zeros((2, 8, layer.recurrence.cell.kernel.shape[0]), np.float32)
    operations = _EXECUTED[keras.backend.backend()](layer.recurrence, x)
    return any("cudnn" in name.lower() and "rnn" in name.lower() for name in operations)


def _executed_by_tensorflow(layer: Any, x: Any) -> list[str]:
    import tensorflow as tf

    graph = tf.function(lambda inputs: layer(inputs)).get_concrete_function(tf.constant(x)).graph
    functions = [graph.get_operations()]
    functions += [
        function.graph.get_operations()
        for function in graph._functions.values()
        if hasattr(function, "graph")
    ]
    return [operation.type for operations in functions for operation in operations]


def _executed_by_torch(layer: Any, x: Any) -> list[str]:
    import torch

    with torch.profiler.profile() as profile:
        layer(keras.ops.convert_to_tensor(x))
    return [event.key for event in profile.key_averages()]


def _executed_by_jax(layer: Any, x: Any) -> list[str]:
    import jax

    text = jax.jit(lambda inputs: layer(inputs)).lower(x).as_text()
    return ["cudnn_rnn"] if "cudnn" in text and "rnn" in text else []


_EXECUTED = {
    "tensorflow": _executed_by_tensorflow,
    "torch": _executed_by_torch,
    "jax": _executed_by_jax,
}
