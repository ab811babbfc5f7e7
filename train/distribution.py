"""Data-parallel training on several devices, by the backend's own engine.

jax: `keras.distribution.DataParallel`, over the devices of one or more processes, on one or more
machines. tensorflow: `tf.distribute.MirroredStrategy`, over the devices of one process; Keras 3
cannot train over several processes there (https://github.com/keras-team/keras/issues/20585).
torch: one device.
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
from ds2edge.train.recipe import TrainingSettings

log = logging.getLogger("ds2edge")

# Environment variables that keras.distribution.initialize reads.
ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
NUMBER = "KERAS_DISTRIBUTION_PROCESS_ID"
ONE_PROCESS = (
    "Keras trains with several processes under jax only: "
    f"set KERAS_BACKEND=jax, {ADDRESSES}, {COUNT}, {NUMBER}"
)


@dataclass(frozen=True)
class Group:
    """The devices that train together. All take the same number of rows of a batch."""

    devices: int = 1  # of all processes
    processes: int = 1
    process: int = 0  # the number of this process

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows progress: one of the group does."""
        return self.process == 0

    def share(self, rows: int) -> range:
        """The numbers of the rows that this process computes, in a batch of `rows` clips.

        Empty rows fill up the batch to a multiple of the devices. Their numbers begin at `rows`,
        and they count neither in the loss nor in batch norm.
        """
        size = -(-rows // self.devices) * self.devices // self.processes
        return range(self.process * size, (self.process + 1) * size)

    def scope(self) -> AbstractContextManager[Any]:
        """The context in which a model must be made or loaded, compiled and fitted."""
        if self.devices == 1:
            return nullcontext()
        names = keras.distribution.list_devices()
        scope: AbstractContextManager[Any]
        if keras.backend.backend() == "jax":
            # `Batches` gives each process its share already: Keras need not.
            parallel = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
            scope = parallel.scope()
        else:
            import tensorflow as tf

            scope = tf.distribute.MirroredStrategy([name.upper() for name in names]).scope()
        return scope

    def alone(self) -> AbstractContextManager[Any]:
        """The context in which this process computes alone, while the others do not."""
        if self.processes == 1:
            return nullcontext()
        # Keras has no context manager that suspends a distribution.
        stack = ExitStack()
        stack.callback(keras.distribution.set_distribution, keras.distribution.distribution())
        keras.distribution.set_distribution(None)
        return stack

    def synchronise(self, model: DeepSpeech2) -> None:
        """Makes batch norm see the whole batch, as on one device. Under jax it does already."""
        if self.devices > 1 and keras.backend.backend() == "tensorflow":
            for norm in model.norms():
                norm.synchronized = True

    def broadcast_from_leader(self, figures: list[float]) -> list[float]:
        """The leading process's `figures`, on every process.

        Their own figures may differ in the last bit, and so might a decision that all must share.
        """
        if self.processes == 1:
            return figures
        from jax.experimental import multihost_utils

        return [float(x) for x in multihost_utils.broadcast_one_to_all(np.array(figures))]

    def require_equal(self, facts: Any, what: str) -> None:
        """InputError if another process has other `facts`.

        It would draw other batches, and the processes would deadlock. `what` names the facts.
        """
        if self.processes == 1:
            return
        from jax.experimental import multihost_utils

        mine = np.uint32(zlib.crc32(repr(facts).encode()))
        different = np.flatnonzero(multihost_utils.process_allgather(mine) != mine)
        if len(different):
            raise InputError(
                f"process {different[0]} has another {what} than process {self.process}: "
                "start all processes with the same recipe and data"
            )


ALONE = Group()


def join_group(settings: TrainingSettings) -> Group:
    """Joins the processes that the environment names, and returns the group of all their devices.

    Call this before anything is computed. InputError if
    the environment or `settings` ask for what Keras cannot do.
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

    processes = os.environ.get(COUNT, "1")
    if processes != "1" and not jax.distributed.is_initialized():
        missing = [name for name in (ADDRESSES, NUMBER) if name not in os.environ]
        if missing:
            raise InputError(
                f"{COUNT} is {processes}, but {missing[0]} is not set: see docs/distribution.md"
            )
        # Without a seed, Keras would make the processes agree on one.
        keras.utils.set_random_seed(settings.seed)
        try:
            keras.distribution.initialize()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"the {processes} processes cannot meet ({str(error).splitlines()[0]}): "
                f"check {ADDRESSES}, {COUNT} and {NUMBER}"
            ) from None
    group = Group(jax.device_count(), jax.process_count(), jax.process_index())
    if jax.local_device_count() * group.processes != group.devices:
        raise InputError(
            f"process {group.process} sees {jax.local_device_count()} of {group.devices} devices, "
            "but every process must see the same number: set CUDA_VISIBLE_DEVICES"
        )
    return group


def _join_tensorflow(settings: TrainingSettings) -> Group:
    _refuse_processes()
    try:
        configuration = json.loads(os.environ.get("TF_CONFIG") or "{}")
        workers = len(configuration.get("cluster", {}).get("worker", [0]))
    except (ValueError, AttributeError):
        raise InputError(
            "TF_CONFIG is not the JSON object that tensorflow expects: unset it"
        ) from None
    if workers > 1:
        raise InputError(f"TF_CONFIG names {workers} workers: {ONE_PROCESS}")
    group = Group(len(keras.distribution.list_devices()))
    if group.devices > 1 and settings.gradient_accumulation > 1:
        raise InputError(
            "Keras does not accumulate gradients under MirroredStrategy: set gradient_accumulation "
            "= 1 and a larger batch_size, CUDA_VISIBLE_DEVICES to one GPU, or KERAS_BACKEND=jax"
        )
    return group


def _join_torch(settings: TrainingSettings) -> Group:
    import torch

    _refuse_processes()
    if torch.cuda.device_count() > 1:
        log.warning(
            "torch trains on one of the %d GPUs: KERAS_BACKEND=jax or tensorflow uses all",
            torch.cuda.device_count(),
        )
    return ALONE


def _refuse_processes() -> None:
    if (processes := os.environ.get(COUNT, "1")) != "1":
        raise InputError(f"{COUNT} is {processes}: {ONE_PROCESS}")
