"""The training loop: Keras's own `fit`, with what speech needs around it."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

import keras
import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import Specification
from ds2edge.train.acceleration import keep_freed_memory, report_devices
from ds2edge.train.calibration import calibrate
from ds2edge.train.callbacks import (
    Checkpoint,
    Evaluate,
    History,
    Progress,
    StopAtNan,
    StopEarly,
    stale,
)
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import normalise
from ds2edge.train.distribution import Group, join_group
from ds2edge.train.fine_tune import copy_weights
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.pipeline.batches import Batches, batch_sizes
from ds2edge.train.pipeline.dataset import Dataset, compute_features, scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.pipeline.long_clips import without_long
from ds2edge.train.recipe import Recipe
from ds2edge.train.run import LAST, Run
from ds2edge.train.schedule import WarmupHoldDecay
from ds2edge.train.tensorboard import Curves

log = logging.getLogger("ds2edge")

Beginning = tuple[Run, Dataset, DeepSpeech2, History]


def train(
    recipe: Recipe,
    manifests: list[Path],
    folder: Path,
    resume: bool = False,
    init_from: Path | None = None,
    cache: Path | None = None,
    max_seconds: float = math.inf,
) -> Run:
    """Trains on all devices until the recipe's last epoch; `resume` goes on after the newest epoch in the folder.

    `init_from`: a run whose weights, features and statistics this one begins with; quantization-aware training needs
    one, and chooses its ranges by it, on these manifests. `cache`: folder for features; None:
    nothing is kept. Clips of more than `max_seconds` are left out.

    InputError if the data cannot be used, if the folder already holds a run (or, to resume, none or one of another
    recipe), if the other run's model is of another shape, if the disk is full, or if the loss is no longer a number.
    """
    keep_freed_memory()
    begun = Run.open(folder) if resume else None
    clips = without_long([clip for path in manifests for clip in read_manifest(path)], max_seconds)
    group = join_group(recipe.training)
    group.require_equal(
        (recipe, [(clip.audio.name, clip.text, clip.duration, clip.split) for clip in clips]),
        "recipe, or other manifests,",
    )
    features = FeatureCache(cache, recipe)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(
        recipe.training.precision
        if recipe.training.precision == "float32"
        else f"mixed_{recipe.training.precision}"
    )
    try:
        with group.scope():
            if begun:
                run, found, model, history = _resume(begun, recipe, clips, features)
            else:
                data = ", ".join(path.resolve().parent.name for path in manifests)
                run, found, model, history = _begin(
                    recipe, clips, data, folder, init_from, features, group
                )
            _fit(run, found, model, history, features, group)
    finally:
        keras.config.set_dtype_policy(policy)
    return run


def _fit(
    run: Run, found: Dataset, model: DeepSpeech2, history: History, cache: FeatureCache, group: Group
) -> None:
    recipe, settings = run.recipe, run.recipe.training
    if len(history) == settings.epochs or (
        settings.patience and stale(history) >= settings.patience
    ):
        log.info("%s: all %d epochs are done", run.folder, len(history))
        return
    compute_features(found, recipe, cache)
    features = run.specification.front_end()
    threads = min(8, os.cpu_count() or 1)
    batches = Batches(
        found.examples["train"],
        recipe,
        features,
        cache,
        augment=True,
        group=group,
        workers=threads,
        max_queue_size=4 * threads,
    )
    report_devices(model, recipe)
    group.synchronise(model)
    judged = Batches(found.examples["dev"], recipe, features, cache, augment=False)
    evaluate = Evaluate(judged, run.specification.alphabet, group)
    callbacks = [
        # Keras's own on_epoch_end of a dataset is also called before the first epoch, but not on resuming.
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch)),
        StopAtNan(),
        evaluate,
        *([Progress(batches, history), Curves(run, evaluate, history)] if group.leads else []),
        Checkpoint(run, history, group),
    ]
    if settings.ema:
        # First, so that evaluation and checkpoints see the averages: a checkpoint holds them as weights, and the
        # weights themselves where the optimizer keeps the averages.
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        swap._ema_weights_in_model = bool(history)
        callbacks.insert(0, swap)
    if settings.patience:
        callbacks.append(StopEarly(history, settings.patience))
    model.fit(
        batches,
        epochs=settings.epochs,
        initial_epoch=len(history),
        shuffle=False,  # Batches draws its own order, from the seed
        verbose=0,
        callbacks=callbacks,
    )


def _begin(
    recipe: Recipe,
    clips: list[Clip],
    data: str,
    folder: Path,
    init_from: Path | None,
    cache: FeatureCache,
    group: Group,
) -> Beginning:
    if (folder / LAST).exists():
        raise InputError(
            f"{folder}: holds a run already: add --resume to go on with it, or choose another folder"
        )
    parent = Run.open(init_from) if init_from else None
    if recipe.training.qat and not parent:
        raise InputError(
            "quantization-aware training begins with a trained run: give --init-from RUN"
        )
    if parent and parent.recipe.features != recipe.features:
        raise InputError(
            f"{init_from}: was trained on other features: give the recipe the same [features]"
        )
    symbols = _symbols(recipe, clips, parent)
    group.require_equal(symbols.alphabet, "version of sentencepiece")
    found = scan_dataset(clips, recipe, cache, symbols)
    hours = sum(example.clip.duration for example in found.examples["train"]) / 3600
    facts = {
        "data": data,
        "training_clips": len(found.examples["train"]),
        "training_hours": round(hours, 3),
        "licence": recipe.licence,
        "epochs": recipe.training.epochs,
    }
    if parent:
        facts["initialised_from"] = {"name": parent.specification.name} | parent.best_figures()
    if recipe.training.qat:
        facts["quantization_aware"] = True
    statistics = parent.specification if parent else found
    specification = Specification(
        recipe.name,
        symbols.alphabet,
        recipe.features,
        statistics.mean,
        statistics.std,
        training=facts,
    )
    keras.utils.set_random_seed(recipe.training.seed)
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(symbols.alphabet))
    if parent:
        copy_weights(parent, model, symbols.alphabet)
    if recipe.training.qat:
        calibration = calibrate(model, specification, clips, recipe.augmentation)
        log.info("%s", calibration.summary())
        model.round_to(calibration.ranges)
    run = Run(folder, recipe, specification)
    if group.leads:
        run = Run.create(folder, recipe, specification, symbols)
    log.info(
        "%s: %d weights, %.2f h of speech in %d clips",
        recipe.name,
        model.count_params(),
        hours,
        len(found.examples["train"]),
    )
    # XLA gains on jax; under tensorflow on a CPU it recompiles for every length and then runs slower.
    model.compile(make_optimizer(recipe, found), jit_compile=keras.backend.backend() == "jax")
    return run, found, model, []


def _symbols(recipe: Recipe, clips: list[Clip], parent: Run | None) -> Symbols:
    """Letters; or pieces: those of the parent where the recipe asks for as many, so that its outputs are of use."""
    pieces = recipe.text.pieces
    if parent and recipe.training.qat and parent.recipe.text != recipe.text:
        raise InputError(
            f"{parent.folder}: quantization-aware training keeps its run's symbols: give the recipe the same [text]"
        )
    if not pieces:
        return Symbols()
    if parent and parent.recipe.text.pieces == pieces:
        return parent.symbols()
    return Symbols.learn(
        (normalise(clip.text).text for clip in clips if clip.split == "train"), pieces
    )


def make_optimizer(recipe: Recipe, found: Dataset) -> keras.optimizers.Optimizer:
    """AdamW, with the recipe's learning rate over all steps."""
    settings = recipe.training
    durations = np.array([example.clip.duration for example in found.examples["train"]])
    steps = settings.epochs * len(
        batch_sizes(durations, settings)
    )  # batches: that is what the schedule counts
    warmup = max(1, round(settings.warmup_share * steps))
    decay = min(steps - warmup, round(settings.decay_share * steps))
    schedule = WarmupHoldDecay(settings.learning_rate, warmup, steps - warmup - decay, decay)
    # No variable is excluded from the decay: Keras does not save such an exclusion, so it would be lost on resuming.
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm,
        gradient_accumulation_steps=settings.gradient_accumulation
        if settings.gradient_accumulation > 1
        else None,
        use_ema=settings.ema > 0,
        ema_momentum=settings.ema or 0.99,
    )


def _resume(run: Run, recipe: Recipe, clips: list[Clip], cache: FeatureCache) -> Beginning:
    if run.recipe != recipe:
        raise InputError(
            f"{run.folder}: was begun with another recipe: give the same recipe, epochs and batch size"
        )
    model, history = run.last_model()
    log.info("%s: going on after epoch %d of %d", run.folder, len(history), recipe.training.epochs)
    return run, scan_dataset(clips, recipe, cache, run.symbols()), model, history
