"""A run with random weights, to measure costs with: they do not depend on what a network has learnt.

    python benchmarks/random_run.py RUN --recipe edge

Its logits are of the size that training gives them. Its ranges of int8 are known, as those of a run trained with int8
in mind: to convert it several times takes no calibration.
"""

from __future__ import annotations

from pathlib import Path

import click
import keras
import numpy as np
from stock_models import CORPUS

from ds2edge.runtime.specification import Specification
from ds2edge.train.calibration import calibrate
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.data.text import LETTERS
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.recipe import read_recipe
from ds2edge.train.run import Run

CLIPS = 4  # to observe: the ranges change nothing in the costs
LEVELS = (-55.0, 15.0)  # dB, mean and deviation of every bin: about those of speech


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "name",
    default="edge",
    show_default=True,
    help="A recipe of the kit, or a TOML file.",
)
def main(run: Path, name: str) -> None:
    """Write a run of one epoch that never was."""
    recipe = read_recipe(name)
    keras.utils.set_random_seed(1)
    bins = recipe.features.bins
    model = DeepSpeech2(recipe.model, bins, len(LETTERS))
    frames = np.random.default_rng(1).standard_normal((1, 400, bins)).astype(np.float32)
    logits = np.asarray(model({"features": frames, "lengths": np.array([400], np.int32)}))[0]
    model.dense.kernel.assign(4 / logits.std(0).mean() * model.dense.kernel)
    specification = Specification(
        recipe.name, LETTERS, recipe.features, *((level,) * bins for level in LEVELS)
    )
    clips = read_manifest(CORPUS)[:CLIPS]
    model.ranges = calibrate(
        model, specification, clips, recipe.augmentation, methods=("minmax",)
    ).ranges
    Run.create(run, recipe, specification).save_epoch(
        model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}]
    )
    click.echo(f"{run}: {recipe.name}, {model.count_params()} random weights")


if __name__ == "__main__":
    main()
