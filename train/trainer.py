"""The training loop: Keras's own `fit`, with what speech needs around it."""

from __future__ import annotations

import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ds2edge.runtime.ctc import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.runtime.specification import Specification
from ds2edge.train.batches import Batches
from ds2edge.train.manifest import read_manifest
from ds2edge.train.model import DeepSpeech2
from ds2edge.train.recipe import Recipe
from ds2edge.train.run import LAST, Run
from ds2edge.train.scoring import Score, score
from ds2edge.train.survey import Survey, survey
from ds2edge.train.text import ALPHABET

log = logging.getLogger("ds2edge")

History = list[dict[str, Any]]  # figures of each epoch
Beginning = tuple[Run, Survey, DeepSpeech2, History]


def train(recipe: Recipe, manifests: list[Path], folder: Path, resume: bool = False) -> Run:
    """Trains until the recipe's last epoch; `resume` goes on after the newest epoch that the folder holds.

    InputError if the data cannot be used, if the folder already holds a run (or, to resume, none or one of another
    recipe), or if the loss is no longer a number.
    """
    run, found, model, history = _resume(recipe, manifests, folder) if resume else _begin(recipe, manifests, folder)
    if len(history) == recipe.training.epochs:
        log.info("%s: all %d epochs are done", folder, len(history))
        return run
    features = Features(recipe.features, run.specification.mean, run.specification.deviation)
    batches = Batches(found.examples["train"], recipe, features, augment=True, workers=1, max_queue_size=8)
    model.fit(
        batches,
        epochs=recipe.training.epochs,
        initial_epoch=len(history),
        shuffle=False,  # Batches draws its own order, from the seed
        verbose="auto" if sys.stdout.isatty() else 2,
        callbacks=[
            # Keras's own on_epoch_end of a dataset is also called before the first epoch, but not on resuming.
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch)),
            StopAtNan(),
            Evaluate(Batches(found.examples["dev"], recipe, features, augment=False)),
            Checkpoint(run, history),
            keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
        ],
    )
    return run


def transcribe_batches(model: DeepSpeech2, batches: Batches) -> tuple[list[str], list[str]]:
    """Reference and greedy text of every clip, by the whole-sequence model."""
    references, hypotheses = [], []
    for index in range(len(batches)):
        inputs, _ = batches[index]
        logits = np.asarray(model.predict_on_batch(inputs))
        references += batches.texts(index)
        for row, length in zip(logits, model.output_lengths(inputs["lengths"]), strict=True):
            decoder = GreedyDecoder(ALPHABET, step_seconds=1.0)
            decoder.accept(row[:length])
            hypotheses.append(decoder.text())
    return references, hypotheses


class StopAtNan(keras.callbacks.Callback):
    """Ends the training when the loss is no longer a number; the checkpoint of the epoch before stays."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras calls this with the mean loss of the epoch so far."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} at batch {batch + 1}: lower the learning rate, or look at the newest clips"
            )


class Evaluate(keras.callbacks.Callback):
    """Adds greedy WER and CER on the dev split to the figures of each epoch."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras calls this; callbacks after this one see the figures."""
        result: Score = score(*transcribe_batches(self.model, self.batches))
        if logs is not None:
            logs.update(dev_wer=round(result.wer, 3), dev_cer=round(result.cer, 3))


class Checkpoint(keras.callbacks.Callback):
    """Saves every epoch, with the figures of all so far."""

    def __init__(self, run: Run, history: list[dict[str, Any]]) -> None:
        super().__init__()
        self.run, self.history = run, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras calls this."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras calls this."""
        logs = logs or {}
        figures = {"epoch": epoch + 1, "loss": round(float(logs["loss"]), 5)}
        figures |= {key: logs[key] for key in ("dev_wer", "dev_cer")}
        self.history.append({**figures, "seconds": round(time.monotonic() - self.started, 1)})
        self.run.save_epoch(self.model, self.history)


def _begin(recipe: Recipe, manifests: list[Path], folder: Path) -> Beginning:
    if (folder / LAST).exists():
        raise InputError(f"{folder}: holds a run already: add --resume to go on with it, or choose another folder")
    found = _survey(recipe, manifests)
    hours = sum(example.clip.duration for example in found.examples["train"]) / 3600
    data = {
        "data": ", ".join(path.resolve().parent.name for path in manifests),
        "training_clips": len(found.examples["train"]),
        "training_hours": round(hours, 3),
        "licence": recipe.licence,
        "epochs": recipe.training.epochs,
    }
    run = Run.create(folder, recipe, Specification(recipe.name, ALPHABET, recipe.features, found.mean, found.deviation,
                                                   training=data))  # fmt: skip
    keras.utils.set_random_seed(recipe.training.seed)
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(ALPHABET))
    log.info("%s: %d weights, %.2f h of speech in %d clips", recipe.name, model.count_params(), hours,
             len(found.examples["train"]))  # fmt: skip
    steps = recipe.training.epochs * -(-len(found.examples["train"]) // recipe.training.batch_size)
    warmup = max(1, round(recipe.training.warmup_share * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=recipe.training.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.training.weight_decay, global_clipnorm=recipe.training.clip_norm
    )
    # No variable is excluded from the decay: Keras does not save such an exclusion, so it would be lost on resuming.
    # XLA gains on jax; under tensorflow on a CPU it recompiles for every length and then runs slower.
    model.compile(optimizer, jit_compile=keras.backend.backend() == "jax")
    return run, found, model, []


def _resume(recipe: Recipe, manifests: list[Path], folder: Path) -> Beginning:
    run = Run.open(folder)
    if run.recipe != recipe:
        raise InputError(f"{folder}: was begun with another recipe: give the same recipe, epochs and batch size")
    model, history = run.last_model()
    log.info("%s: going on after epoch %d of %d", folder, len(history), recipe.training.epochs)
    return run, _survey(recipe, manifests), model, history


def _survey(recipe: Recipe, manifests: list[Path]) -> Survey:
    return survey([clip for path in manifests for clip in read_manifest(path)], recipe)
