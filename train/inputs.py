"""Reads and checks the input of a training before Keras is loaded, so that errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.limits import NO_LIMITS, ClipLimits, without_long
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.files import require_place_for
from ds2edge.train.pipeline.shares import set_uses
from ds2edge.train.recipe import Recipe
from ds2edge.train.resuming import require_same
from ds2edge.train.run import LAST, Run


@dataclass(frozen=True)
class TrainingInput:
    """What a training starts from."""

    recipe: Recipe
    clips: list[Clip]  # of all splits
    data: str  # names of the manifests' folders, for the model card
    folder: Path  # of the run
    begun: Run | None  # the run to continue
    parent: Run | None  # the run whose weights a new one starts from
    limits: ClipLimits = NO_LIMITS


def read_input(
    recipe: Recipe,
    manifests: Sequence[Path],
    folder: Path,
    resume: bool = False,
    init_from: Path | None = None,
    limits: ClipLimits = NO_LIMITS,
) -> TrainingInput:
    """Opens the runs and reads the manifests. Arguments and InputError as for `trainer.train`."""
    begun = None
    parent = None
    if resume:
        begun = _run_to_resume(recipe, folder, init_from)
    else:
        parent = _parent(recipe, folder, init_from)
    parts = [without_long(read_manifest(path), limits.max_seconds) for path in manifests]
    if shares := recipe.training.manifest_shares:
        parts = set_uses(manifests, parts, shares)
    clips = [clip for part in parts for clip in part]
    data = ", ".join(path.resolve().parent.name for path in manifests)
    return TrainingInput(recipe, clips, data, folder, begun, parent, limits)


def _run_to_resume(recipe: Recipe, folder: Path, init_from: Path | None) -> Run:
    if init_from:
        raise InputError(
            "--resume continues with the weights of the run itself: leave out --init-from"
        )
    run = Run.open(folder)
    require_same(folder, run.recipe, recipe)
    return run


def _parent(recipe: Recipe, folder: Path, init_from: Path | None) -> Run | None:
    """The run that a new training starts from, if one is given, once it is clear that it fits."""
    if (folder / LAST).exists():
        raise InputError(
            f"{folder}: holds a run already: add --resume to continue it, or choose another folder"
        )
    require_place_for(folder)
    if init_from is None:
        if recipe.training.qat:
            raise InputError(
                "quantization-aware training starts from a trained run: give --init-from RUN"
            )
        return None
    parent = Run.open(init_from)
    parent.best_figures()  # InputError if no epoch is finished
    if parent.recipe.features != recipe.features:
        raise InputError(
            f"{init_from}: was trained on other features: give the recipe the same [features]"
        )
    if recipe.training.qat and parent.recipe.text != recipe.text:
        raise InputError(
            f"{init_from}: quantization-aware training keeps its run's symbols: give the recipe "
            "the same [text]"
        )
    return parent
