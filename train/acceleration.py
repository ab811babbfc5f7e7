"""Speed of training: memory that the process keeps, and a report of the devices in use."""

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
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4
TOP_PAD = 256 * 2**20  # bytes to ask the system for at once


def keep_freed_memory() -> None:
    """Makes the process keep the memory that a step frees; on a CPU, steps take half the time.

    glibc returns large blocks to the system at once. Every new tensor then begins as pages that the
    system must clear. Other allocators are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD)):
        mallopt(parameter, value)


def report_devices(model: DeepSpeech2, recipe: Recipe) -> None:
    """Logs the devices of the training; warns if a GPU's recurrent kernels are not used."""
    backend = keras.backend.backend()
    precision = recipe.training.precision
    names = gpus()
    if not names:
        log.info("%s on the CPU, %s: no GPU is seen", backend, precision)
        return
    place = f"{backend} on {', '.join(names)}, {precision}"
    layer = model.encoder[0]
    if not isinstance(layer, RecurrentLayer):
        log.info("%s", place)  # it has no recurrent product for cuDNN
    elif model.ranges:
        log.info("%s: each step is rounded, so the recurrent layers do not run on cuDNN", place)
    elif runs_on_cudnn(layer):
        log.info("%s, recurrent layers on cuDNN", place)
    else:
        log.warning(
            "%s: the %s layers do not run on cuDNN and will be slow: take 'lstm' under jax, 'gru' "
            "or 'lstm' under tensorflow and torch",
            place,
            recipe.model.cell,
        )


def gpus() -> list[str]:
    """The names of the GPUs that the backend sees."""
    if keras.backend.backend() == "torch":  # Keras lists none for it
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        name
        for name in keras.distribution.list_devices()
        if name.lower().startswith(("gpu", "cuda"))
    ]


def runs_on_cudnn(layer: RecurrentLayer) -> bool:
    """Whether the layer's operations include a cuDNN recurrence. Runs it on a small input."""
    x = np.zeros((2, 8, layer.recurrence.cell.kernel.shape[0]), np.float32)
    operations = _OPERATIONS[keras.backend.backend()](layer.recurrence, x)
    return any("cudnn" in name.lower() and "rnn" in name.lower() for name in operations)


def _tensorflow_operations(layer: Any, x: Any) -> list[str]:
    import tensorflow as tf

    graph = tf.function(layer).get_concrete_function(tf.TensorSpec(x.shape)).graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return [node.op for node in nodes]


def _torch_operations(layer: Any, x: Any) -> list[str]:
    import torch

    with torch.profiler.profile() as profile:
        layer(keras.ops.convert_to_tensor(x))
    return [event.key for event in profile.key_averages()]


def _jax_operations(layer: Any, x: Any) -> list[str]:
    import jax

    text = jax.jit(lambda inputs: layer(inputs)).lower(x).as_text()
    return ["cudnn_rnn"] if "cudnn" in text and "rnn" in text else []


_OPERATIONS = {
    "tensorflow": _tensorflow_operations,
    "torch": _torch_operations,
    "jax": _jax_operations,
}
