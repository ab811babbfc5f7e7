"""Trains a model: checks the input first, then loads Keras and starts the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ds2edge.train.data.limits import NO_LIMITS, ClipLimits
from ds2edge.train.inputs import read_input
from ds2edge.train.recipe import Recipe
from ds2edge.train.run import Run


def train(
    recipe: Recipe,
    manifests: Sequence[Path],
    folder: Path,
    resume: bool = False,
    init_from: Path | None = None,
    cache: Path | None = None,
    limits: ClipLimits = NO_LIMITS,
) -> Run:
    """Trains on all devices until the recipe's last epoch and returns the run in `folder`.

    `resume` continues after the newest epoch in the folder. `init_from` is a run whose weights,
    features and statistics a new run starts from; quantization-aware training needs one and
    calibrates its int8 ranges on these manifests. `cache` is a folder for features; None caches
    nothing. `limits` says which clips are left out.

    InputError if the data cannot be used, if the folder already holds a run (to resume: none, or
    one of another recipe), if the model of `init_from` has another shape, if the disk is full, or
    if the loss is no longer a number.
    """
    inputs = read_input(recipe, manifests, folder, resume, init_from, limits)
    from ds2edge.train.loop import run_training  # Keras takes seconds to load

    return run_training(inputs, cache)
