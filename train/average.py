"""The mean of the weights of several runs."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.train.evaluation.evaluate import evaluate
from ds2edge.train.evaluation.results import Figures
from ds2edge.train.files import require_place_for
from ds2edge.train.run import Run


def average(folders: Sequence[Path], manifests: Sequence[Path], output: Path) -> list[Figures]:
    """Makes a run in `output` whose weights are the mean of the best weights of several runs.

    The statistics of batch norm are averaged too. Returns the figures of each run and then of the
    mean, on the dev clips of `manifests`. A run that is named twice counts twice. The new run has
    the recipe of the first one. It cannot be resumed, but a training can start from it.

    InputError if the runs differ in model, features or alphabet, or if `output` exists.
    """
    runs = [Run.open(folder) for folder in folders]
    for run in runs[1:]:
        _require_same(runs[0], run)
    if output.exists():
        raise InputError(f"{output}: exists already: choose another folder")
    require_place_for(output)
    models = [run.best_model() for run in runs]
    weights = zip(*(model.get_weights() for model in models), strict=True)
    model = models[0]
    model.set_weights([np.mean(parts, axis=0) for parts in weights])
    figures = {path: evaluate(path, manifests, "dev").overall for path in dict.fromkeys(folders)}
    facts = runs[0].specification.training | {"mean_of": ", ".join(map(_named, runs))}
    specification = dataclasses.replace(runs[0].specification, training=facts)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix="average-") as part:
        folder = Path(part) / output.name
        made = Run.create(folder, runs[0].recipe, specification, runs[0].symbols())
        model.save(made.best)
        mean = evaluate(folder, manifests, "dev").overall
        rates = {"dev_wer": round(mean.wer, 3), "dev_cer": round(mean.cer, 3)}
        epoch = {"epoch": 1, "loss": None, **rates, "seconds": 0.0}
        made.save_epoch(model, [epoch])
        made.last.unlink()  # it would hold no optimizer to continue with
        folder.rename(output)
    return [*(figures[path] for path in folders), mean]


def _require_same(first: Run, other: Run) -> None:
    pairs: dict[str, tuple[Any, Any]] = {
        "model": (first.recipe.model, other.recipe.model),
        "alphabet": (first.specification.alphabet, other.specification.alphabet),
        "features": (first.recipe.features, other.recipe.features),
        "statistics of features": (
            (first.specification.mean, first.specification.std),
            (other.specification.mean, other.specification.std),
        ),
    }
    for name, (expected, found) in pairs.items():
        if expected != found:
            raise InputError(
                f"{other.folder}: has another {name} than {first.folder}: average runs that "
                "started from one another, or from the same run"
            )


def _named(run: Run) -> str:
    """The recipe of a run and its WER, for the model card."""
    return f"{run.specification.name} ({run.best_figures()['dev_wer']:.2f} % on dev)"
