"""The training loop: Keras's `fit` with evaluation, checkpoints, progress and curves."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ds2edge.runtime.specification import Specification
from ds2edge.train.acceleration import keep_freed_memory, report_devices
from ds2edge.train.calibration import calibrate
from ds2edge.train.callbacks import (
    Checkpoint,
    Evaluate,
    Progress,
    StopAtNan,
    StopEarly,
    epochs_without_gain,
)
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import normalise
from ds2edge.train.distribution import Group, join_group
from ds2edge.train.fine_tune import copy_weights
from ds2edge.train.inputs import TrainingInput
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.losses.word_errors import WordErrors
from ds2edge.train.pipeline.batches import Batches, batch_sizes, clips_of_epoch
from ds2edge.train.pipeline.dataset import Dataset, compute_features, scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.recipe import Recipe
from ds2edge.train.run import History, Run
from ds2edge.train.schedule import make_optimizer
from ds2edge.train.tensorboard import Curves

log = logging.getLogger("ds2edge")

MOST_THREADS = 8  # that prepare batches


def run_training(inputs: TrainingInput, cache: Path | None) -> Run:
    """Starts or resumes a training and runs it to its end, as `ds2edge.train.trainer.train`."""
    keep_freed_memory()
    recipe = inputs.recipe
    group = join_group(recipe.training)
    clips = [(clip.audio.name, clip.text, clip.duration, clip.split) for clip in inputs.clips]
    group.require_equal((recipe, clips), "recipe, or other manifests,")
    features = FeatureCache(cache, recipe)
    with _precision(recipe.training.precision), group.scope():
        start = Training.resume if inputs.begun else Training.begin
        training = start(inputs, features, group)
        training.fit()
    return training.run


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Models that are made or loaded in here compute in float32, bfloat16 or float16."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name if name == "float32" else f"mixed_{name}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


@dataclass
class Training:
    """A run with all that its next epochs need."""

    run: Run
    dataset: Dataset
    model: DeepSpeech2  # compiled
    history: History  # figures of the epochs that are finished
    cache: FeatureCache
    group: Group

    @classmethod
    def begin(cls, inputs: TrainingInput, cache: FeatureCache, group: Group) -> Training:
        """Makes a run with a new model, or with its parent's weights. InputError as for `train`."""
        recipe = inputs.recipe
        symbols = _symbols(inputs)
        group.require_equal(symbols.alphabet, "version of sentencepiece")
        dataset = scan_dataset(inputs.clips, recipe, cache, symbols, inputs.limits)
        specification = _specification(inputs, dataset, symbols)
        model = _new_model(inputs, specification)
        steps = recipe.training.epochs * _batches_per_epoch(dataset, recipe)
        # XLA helps on jax. Under tensorflow on a CPU it is slower: it compiles for every length.
        model.compile(
            make_optimizer(recipe.training, steps), jit_compile=keras.backend.backend() == "jax"
        )
        if group.leads:
            run = Run.create(inputs.folder, recipe, specification, symbols)
        else:
            run = Run(inputs.folder, recipe, specification)
        log.info(
            "%s: %d weights, %.2f h of speech in %d clips",
            recipe.name,
            model.count_params(),
            _hours(dataset),
            len(dataset.examples["train"]),
        )
        return cls(run, dataset, model, [], cache, group)

    @classmethod
    def resume(cls, inputs: TrainingInput, cache: FeatureCache, group: Group) -> Training:
        """Opens a run with its newest checkpoint. InputError as for `train`."""
        run = inputs.begun
        assert run is not None
        model, history = run.last_model()
        epochs = run.recipe.training.epochs
        log.info("%s: continuing after epoch %d of %d", run.folder, len(history), epochs)
        dataset = scan_dataset(inputs.clips, run.recipe, cache, run.symbols(), inputs.limits)
        return cls(run, dataset, model, history, cache, group)

    def fit(self) -> None:
        """Trains until the last epoch or until patience ends. InputError as for `train`."""
        settings = self.run.recipe.training
        out_of_patience = (
            settings.patience and epochs_without_gain(self.history) >= settings.patience
        )
        if len(self.history) == settings.epochs or out_of_patience:
            log.info("%s: all %d epochs are finished", self.run.folder, len(self.history))
            return
        compute_features(self.dataset, self.run.recipe, self.cache)
        report_devices(self.model, self.run.recipe)
        self.group.synchronise(self.model)
        batches = self._training_batches()
        self.model.consistency = settings.consistency
        if settings.word_errors:
            recipe = self.run.recipe
            self.model.word_errors = WordErrors(
                self.run.specification.alphabet,
                settings.word_errors,
                recipe.model.step_seconds(recipe.features),
            )
        self.model.fit(
            batches,
            epochs=settings.epochs,
            initial_epoch=len(self.history),
            shuffle=False,  # Batches draws its own order, from the seed
            verbose=0,
            callbacks=self._callbacks(batches),
        )

    def _training_batches(self) -> Batches:
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        return Batches(
            self.dataset.examples["train"],
            self.run.recipe,
            self.run.specification.front_end(),
            self.cache,
            augment=True,
            group=self.group,
            workers=threads,
            max_queue_size=4 * threads,
        )

    def _callbacks(self, batches: Batches) -> list[keras.callbacks.Callback]:
        """The callbacks in the order in which they see the end of an epoch."""
        settings = self.run.recipe.training
        dev = Batches(
            self.dataset.examples["dev"],
            self.run.recipe,
            self.run.specification.front_end(),
            self.cache,
            augment=False,
        )
        evaluate = Evaluate(dev, self.run.specification.alphabet, self.group)
        callbacks = [
            # Keras calls on_epoch_end of a dataset before the first epoch too, but not on resuming.
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch)),
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: self.model.seed_dropout(settings.seed, epoch)
            ),
            StopAtNan(),
            evaluate,
        ]
        if settings.ema:
            callbacks.insert(0, self._swap_averages())
        if self.group.leads:
            callbacks += [Progress(batches, self.history), Curves(self.run, evaluate, self.history)]
        callbacks.append(Checkpoint(self.run, self.history, self.group))
        if settings.patience:
            callbacks.append(StopEarly(self.history, settings.patience))
        return callbacks

    def _swap_averages(self) -> keras.callbacks.Callback:
        """Puts the averaged weights into the model at the end of an epoch, and back at its start.

        It comes first, so that evaluation and checkpoints see the averages. A checkpoint therefore
        holds the averages as weights, and the weights where the optimizer keeps its averages.
        """
        if self.history:
            # The model comes from a checkpoint: put its weights back.
            restore = keras.callbacks.SwapEMAWeights()
            restore.set_model(self.model)
            restore.on_test_begin()
        return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)


def _symbols(inputs: TrainingInput) -> Symbols:
    """Letters, the parent's pieces if the recipe wants as many, or new pieces of the texts."""
    pieces = inputs.recipe.text.pieces
    parent = inputs.parent
    if not pieces:
        return Symbols()
    if parent and parent.recipe.text.pieces == pieces:
        return parent.symbols()
    texts = (normalise(clip.text).text for clip in inputs.clips if clip.split == "train")
    return Symbols.learn(texts, pieces)


def _specification(inputs: TrainingInput, dataset: Dataset, symbols: Symbols) -> Specification:
    recipe = inputs.recipe
    parent = inputs.parent
    facts: dict[str, Any] = {
        "data": inputs.data,
        "training_clips": len(dataset.examples["train"]),
        "training_hours": round(_hours(dataset), 3),
        "licence": recipe.licence,
        "epochs": recipe.training.epochs,
    }
    if parent:
        facts["initialised_from"] = {"name": parent.specification.name} | parent.best_figures()
    if recipe.training.qat:
        facts["quantization_aware"] = True
    statistics = parent.specification if parent else dataset
    return Specification(
        recipe.name,
        symbols.alphabet,
        recipe.features,
        statistics.mean,
        statistics.std,
        training=facts,
    )


def _new_model(inputs: TrainingInput, specification: Specification) -> DeepSpeech2:
    """A model with random weights, or with those of the parent; for qat, with int8 ranges."""
    recipe = inputs.recipe
    keras.utils.set_random_seed(recipe.training.seed)
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(specification.alphabet))
    if inputs.parent:
        copy_weights(inputs.parent, model, specification.alphabet)
    if recipe.training.qat:
        calibration = calibrate(model, specification, inputs.clips, recipe.augmentation)
        log.info("%s", calibration.summary())
        model.round_to(calibration.ranges)
    return model


def _batches_per_epoch(dataset: Dataset, recipe: Recipe) -> int:
    clips = clips_of_epoch(dataset.examples["train"])
    return len(batch_sizes(clips.upper_bounds, recipe))


def _hours(dataset: Dataset) -> float:
    return sum(example.clip.duration for example in dataset.examples["train"]) / 3600
