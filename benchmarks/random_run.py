"""Makes a run with random weights, to measure speed and memory, which do not depend on the weights.

    python benchmarks/random_run.py RUN --recipe edge

Its logits have the size that training gives them. Like a quantization-aware run it holds its int8
ranges, so converting it needs no calibration.
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
from ds2edge.train.recipe import Recipe, read_recipe
from ds2edge.train.run import Run

CLIPS = 4  # for the int8 ranges, whose values do not matter here
# Mean and standard deviation of every bin in dB, about those of speech.
MEAN = -55.0
STD = 15.0


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "name",
    default="edge",
    show_default=True,
    help="A shipped recipe, or a TOML file.",
)
def main(run: Path, name: str) -> None:
    """Write a run with random weights to the folder RUN, as if one epoch had been trained."""
    recipe = read_recipe(name)
    weights = write_random_run(run, recipe)
    click.echo(f"{run}: {recipe.name}, {weights} random weights")


def write_random_run(run: Path, recipe: Recipe) -> int:
    """Writes a run with random weights, spelled in letters. Returns the number of weights."""
    keras.utils.set_random_seed(1)
    bins = recipe.features.bins
    model = DeepSpeech2(recipe.model, bins, len(LETTERS))
    frames = np.random.default_rng(1).standard_normal((1, 400, bins)).astype(np.float32)
    logits = np.asarray(model({"features": frames, "lengths": np.array([400], np.int32)}))[0]
    model.dense.kernel.assign(4 / logits.std(0).mean() * model.dense.kernel)
    specification = Specification(
        recipe.name, LETTERS, recipe.features, (MEAN,) * bins, (STD,) * bins
    )
    clips = read_manifest(CORPUS)[:CLIPS]
    model.ranges = calibrate(
        model, specification, clips, recipe.augmentation, methods=("minmax",)
    ).ranges
    Run.create(run, recipe, specification).save_epoch(
        model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}]
    )
    return int(model.count_params())


if __name__ == "__main__":
    main()
