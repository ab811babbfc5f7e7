"""Training on a GPU, with speech and augmentation there: train.py RECIPE MANIFEST... -o RUN

    python train/pretrained/gpu/train.py english OUT/manifest.jsonl --synthetic SYN/manifest.jsonl \
        -o run --minutes 11 --batch-seconds 800

`ds2edge train` computes features on the CPU, which is too slow to keep a large GPU busy. Here all
clips lie in the GPU's memory, 2 bytes a sample. Batches are cut out, augmented and turned into
features there; Triton kernels replace the loops that torch has no fast form of. RUN is a run of the
kit: every few minutes the averaged weights are evaluated on dev and saved, so that `ds2edge
evaluate`, `convert` and `train --init-from` can use it. Needs torch with triton. It also runs on a
CPU, slowly, for a trial.

A row holds one to three clips. The model sees each batch in two views with different masks, and a
second loss term makes their outputs agree. The learning rate follows the share of the minutes that
are over, so a training ends on time on any machine.

One H100, 635 s, recipe `english` (5.2 M weights): 6,512 steps of batches of 800 s in two views,
7,800 s of speech per second, 1,353 hours in all. The GPU was 43 % busy: launching many small
operations limits the speed. WER on dev, greedy: LibriSpeech 47.8 %, Common Voice 63.3 %, LJSpeech
37.4 %.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import click
import keras
import numpy as np
import torch
from clips import Drawing, Speech, read_speech, shares
from learning import Options, Training
from sound import Augmenter, FrontEnd

from ds2edge.runtime.cli import OneLineErrors
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import normalise
from ds2edge.train.fine_tune import copy_weights
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.pipeline.dataset import MIN_STD
from ds2edge.train.recipe import Recipe, read_recipe
from ds2edge.train.run import LAST, Run

JOINED = 0.2  # share of rows with several clips
STATISTICS_SECONDS = 3600.0  # of speech from which the feature statistics are computed
MAX_STATISTICS_BATCHES = 10  # small batches give statistics of less speech
LEVEL_FRAMES = 30  # after which the running level of a clip is about right

PATH = click.Path(path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)


def prepare(
    recipe: Recipe,
    real: list[Clip],
    synthetic: list[Clip],
    folder: Path,
    parent: Run | None,
    options: Options,
) -> Training:
    """Reads the speech and makes the run. `real`: recorded clips.

    InputError if folder, recipe, parent and clips do not fit together.
    """
    if (folder / LAST).exists():
        raise InputError(f"{folder}: holds a run already: choose another folder")
    if parent and parent.recipe.features != recipe.features:
        raise InputError(f"{parent.folder}: its [features] are not those of the recipe")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    symbols = symbols_of(recipe, real, parent)
    rate = recipe.features.sample_rate
    speech = read_speech([*real, *synthetic], rate, symbols.encode)
    if all(clip.split != "dev" for clip in speech.clips):
        raise InputError("no clip of split 'dev' to evaluate on")
    synthetic_paths = {clip.audio for clip in synthetic}
    is_synthetic = [clip.audio in synthetic_paths for clip in speech.clips]
    chances = shares(speech, is_synthetic, options.synthetic_share)
    drawing = Drawing(speech, chances, rate, recipe.augmentation.speed, JOINED, options.seed)
    front = FrontEnd(recipe.features, device)
    augmenter = Augmenter(speech, front, recipe.model, recipe.augmentation, device, options.seed)
    if parent:
        front.set_statistics(parent.specification.mean, parent.specification.std)
    else:
        measure(augmenter, drawing, options.batch_seconds)
    run = create_run(recipe, symbols, speech, front, folder, parent)
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if device.type == "cuda" else "float32")
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(symbols.alphabet))
    if parent:
        copy_weights(parent, model, symbols.alphabet)
    return Training(run, model, augmenter, drawing, options)


def symbols_of(recipe: Recipe, clips: list[Clip], parent: Run | None) -> Symbols:
    """Letters, the parent's pieces if the recipe wants as many, or new pieces of the texts."""
    pieces = recipe.text.pieces
    if not pieces:
        return Symbols()
    if parent and parent.recipe.text.pieces == pieces:
        return parent.symbols()
    return Symbols.learn((normalise(c.text).text for c in clips if c.split == "train"), pieces)


def measure(augmenter: Augmenter, drawing: Drawing, batch: float) -> None:
    """Sets the front end's statistics from about an hour of augmented speech.

    The silence before a clip and the frames in which the level settles are left out.
    """
    front = augmenter.front
    model = augmenter.model
    total = square = torch.zeros(front.settings.bins, device=augmenter.device).double()
    count = 0
    batches = max(1, min(MAX_STATISTICS_BATCHES, round(STATISTICS_SECONDS / batch)))
    for rows in drawing.draw(batches, batch):
        measured, frames = augmenter.features(rows, views=0)
        position = torch.arange(measured.shape[1], device=measured.device)
        first = model.warmup * model.time_stride + LEVEL_FRAMES
        levels = measured[(position < frames[:, None]) & (position >= first)].double()
        total = total + levels.sum(0)
        square = square + (levels**2).sum(0)
        count += len(levels)
    mean = total / count
    std = (square / count - mean**2).clamp_min(0).sqrt().clamp_min(MIN_STD)
    front.set_statistics(mean.tolist(), std.tolist())


def create_run(
    recipe: Recipe,
    symbols: Symbols,
    speech: Speech,
    front: FrontEnd,
    folder: Path,
    parent: Run | None,
) -> Run:
    """Makes the folder of the run, still without an epoch."""
    train_clips = [clip for clip in speech.clips if clip.split == "train"]
    facts = {
        "data": ", ".join(sorted({clip.audio.parent.parent.name for clip in train_clips})),
        "training_clips": len(train_clips),
        "training_hours": round(sum(clip.duration for clip in train_clips) / 3600, 3),
        "licence": recipe.licence,
    }
    if parent:
        facts["initialised_from"] = {"name": parent.specification.name} | parent.best_figures()
    mean, std = (tuple(np.round(x, 3).tolist()) for x in front.statistics())
    specification = Specification(
        recipe.name, symbols.alphabet, recipe.features, mean, std, training=facts
    )
    return Run.create(folder, recipe, specification, symbols)


@click.command(cls=OneLineErrors)
@click.argument("recipe")
@click.argument("manifests", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", "folder", required=True, type=PATH, help="Output folder.")
@click.option("--synthetic", multiple=True, type=PATH, help="Manifest of synthetic speech.")
@click.option(
    "--synthetic-share",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of synthetic speech in the training time.",
)
@click.option(
    "--minutes", default=11.0, show_default=True, type=POSITIVE, help="Length of the training."
)
@click.option("--steps", default=0, help="Number of steps; replaces --minutes.")
@click.option(
    "--batch-seconds", default=800.0, show_default=True, type=POSITIVE, help="Speech in a batch."
)
@click.option("--rate", default=2.5e-3, show_default=True, type=POSITIVE, help="Learning rate.")
@click.option(
    "--consistency",
    default=0.2,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Weight of the loss that makes two views agree; 0 switches it off.",
)
@click.option(
    "--judge-minutes",
    default=2.0,
    show_default=True,
    type=POSITIVE,
    help="Minutes between two evaluations.",
)
@click.option("--init-from", type=PATH, help="Run whose weights the training starts from.")
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
def main(
    recipe: str,
    manifests: tuple[Path, ...],
    folder: Path,
    synthetic: tuple[Path, ...],
    init_from: Path | None,
    **options: float,
) -> None:
    """Train RECIPE (a name or a TOML file) on the splits train and dev of MANIFESTS."""
    real = [clip for path in manifests for clip in read_manifest(path)]
    synthetic_clips = [clip for path in synthetic for clip in read_manifest(path, "train")]
    usable = [clip for clip in real if clip.split != "test"]
    parent = Run.open(init_from) if init_from else None
    given = Options(**options)  # type: ignore[arg-type]
    prepare(read_recipe(recipe), usable, synthetic_clips, folder, parent, given).learn()


if __name__ == "__main__":
    main()
