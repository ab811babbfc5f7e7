"""Several devices that train together, data parallel, by the backend's own engine: this kit exchanges nothing itself.

jax: `keras.distribution.DataParallel`, over the devices of one process or of several on one or more machines.
tensorflow: `tf.distribute.MirroredStrategy`, over those of one process; Keras 3 cannot train over several processes
there (https://github.com/keras-team/keras/issues/20585). torch: one device.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import SequenceNorm
from ds2edge.train.recipe import TrainingSettings

log = logging.getLogger("ds2edge")

# What keras.distribution.initialize reads.
ADDRESSES, COUNT, NUMBER = (
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)
ONE_PROCESS = (
    f"Keras joins processes under jax alone: set KERAS_BACKEND=jax, {ADDRESSES}, {COUNT}, {NUMBER}"
)


@dataclass(frozen=True)
class Group:
    """The devices that train together: each takes as many rows of a batch as every other."""

    devices: int = 1  # of all processes
    processes: int = 1
    process: int = 0  # number of this one

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and says how far it has come."""
        return self.process == 0

    def share(self, rows: int) -> range:
        """Which rows of a batch of so many this process takes.

        The batch is filled up to a multiple of the devices: a number of `rows` or above stands for an empty row, which
        counts neither in the loss nor in the batch norm.
        """
        size = -(-rows // self.devices) * self.devices // self.processes
        return range(self.process * size, (self.process + 1) * size)

    def scope(self) -> AbstractContextManager[Any]:
        """In which a model must be made or loaded, compiled and fitted."""
        if self.devices == 1:
            return nullcontext()
        names = keras.distribution.list_devices()
        if keras.backend.backend() == "jax":
            # Batches hands each process its share already.
            return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope()
        import tensorflow as tf

        return tf.distribute.MirroredStrategy([name.upper() for name in names]).scope()

    def alone(self) -> AbstractContextManager[Any]:
        """In which a process computes without the others, who do not follow it there."""
        if self.processes == 1:
            return nullcontext()
        # Keras has no scope without a distribution.
        stack = ExitStack()
        stack.callback(keras.distribution.set_distribution, keras.distribution.distribution())
        keras.distribution.set_distribution(None)
        return stack

    def synchronise(self, model: DeepSpeech2) -> None:
        """Has batch norm see the whole batch, as on one device. jax computes it so by itself."""
        if self.devices > 1 and keras.backend.backend() == "tensorflow":
            for layer in model._flatten_layers():
                if isinstance(layer, SequenceNorm):
                    layer.synchronized = True

    def broadcast_from_leader(self, figures: list[float]) -> list[float]:
        """The leading process's figures, on every process: their own may differ in the last bit, and so may a decision
        that all must take alike."""
        if self.processes == 1:
            return figures
        from jax.experimental import multihost_utils

        return [float(x) for x in multihost_utils.broadcast_one_to_all(np.array(figures))]

    def require_equal(self, facts: Any, what: str) -> None:
        """InputError if another process has other `facts`: it would draw other batches, and all would wait for ever."""
        if self.processes == 1:
            return
        from jax.experimental import multihost_utils

        mine = np.uint32(zlib.crc32(repr(facts).encode()))
        different = np.flatnonzero(multihost_utils.process_allgather(mine) != mine)
        if len(different):
            raise InputError(
                f"process {different[0]} has another {what} than process {self.process}: give all the same"
            )


ALONE = Group()


def join_group(settings: TrainingSettings) -> Group:
    """All devices that the backend sees and, where the environment names other processes, theirs.

    To be called before anything is computed. InputError if environment or settings ask for what Keras cannot do.
    """
    join = {"jax": _join_jax, "tensorflow": _join_tensorflow, "torch": _join_torch}[
        keras.backend.backend()
    ]
    group = join(settings)
    if group.devices > 1:
        local = group.devices // group.processes
        log.info("data parallel: %d devices, %d of them in this process", group.devices, local)
    return group


def _join_jax(settings: TrainingSettings) -> Group:
    import jax

    wanted = os.environ.get(COUNT, "1")
    if wanted != "1" and not jax.distributed.is_initialized():
        missing = [name for name in (ADDRESSES, NUMBER) if name not in os.environ]
        if missing:
            raise InputError(
                f"{COUNT} is {wanted}, but {missing[0]} is not set: see docs/distribution.md"
            )
        keras.utils.set_random_seed(
            settings.seed
        )  # without one, Keras has the processes agree on a seed
        try:
            keras.distribution.initialize()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"the {wanted} processes cannot meet ({str(error).splitlines()[0]}): look at {ADDRESSES}, "
                f"{COUNT} and {NUMBER}"
            ) from None
    group = Group(jax.device_count(), jax.process_count(), jax.process_index())
    if jax.local_device_count() * group.processes != group.devices:
        raise InputError(
            f"process {group.process} sees {jax.local_device_count()} of {group.devices} devices: every "
            "process must see as many: set CUDA_VISIBLE_DEVICES"
        )
    return group


def _join_tensorflow(settings: TrainingSettings) -> Group:
    _refuse_processes()
    try:
        workers = len(
            json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", [0])
        )
    except (ValueError, AttributeError):
        raise InputError("TF_CONFIG is not the JSON that tensorflow knows: unset it") from None
    if workers > 1:
        raise InputError(f"TF_CONFIG names {workers} workers: {ONE_PROCESS}")
    group = Group(len(keras.distribution.list_devices()))
    if group.devices > 1 and settings.gradient_accumulation > 1:
        raise InputError(
            "Keras does not accumulate gradients under MirroredStrategy: set gradient_accumulation = 1 and a "
            "larger batch_size, CUDA_VISIBLE_DEVICES to one GPU, or KERAS_BACKEND=jax"
        )
    return group


def _join_torch(settings: TrainingSettings) -> Group:
    import torch

    _refuse_processes()
    if torch.cuda.device_count() > 1:
        log.warning(
            "torch trains on one of the %d GPUs: KERAS_BACKEND=jax or tensorflow takes all",
            torch.cuda.device_count(),
        )
    return ALONE


def _refuse_processes() -> None:
    if (wanted := os.environ.get(COUNT, "1")) != "1":
        raise InputError(f"{COUNT} is {wanted}: {ONE_PROCESS}")
