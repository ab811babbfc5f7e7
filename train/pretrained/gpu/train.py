"""Training on a GPU, with speech and augmentation there: train.py RECIPE MANIFEST... -o RUN

    python train/pretrained/gpu/train.py english OUT/manifest.jsonl --synthetic SYN/manifest.jsonl \
        -o run --minutes 11 --batch-seconds 800

`ds2edge train` computes features on the CPU, which cannot feed such a device. Here all clips lie in
its memory, 2 bytes a sample, and a batch is cut out of them, distorted and measured there; Triton
kernels do what torch has no fast form of. RUN is a run of the kit: every few minutes the averaged
weights are judged on dev and kept, so that `ds2edge evaluate`, `convert` and `train --init-from`
take it. Needs torch with triton; it runs on a CPU too, slowly, to try it.

A row is one to three clips. Each batch is seen in two views, which differ in what is masked; a
second term of the loss has them agree. The learning rate rises, stays and falls with the share of
the minutes that are over, so the time is kept wherever it runs.

What one H100 did with it, in 635 s of training by recipe `english` (5.2 M weights): 6,512 steps of
batches of 800 s in two views, 7,800 s of speech a second, 1,353 hours heard. The GPU was 43 % busy:
launching its many small operations bounds the speed. WER on dev, greedy: LibriSpeech 47.8, Common
Voice 63.3, LJSpeech 37.4 %.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import click
import keras
import numpy as np
import torch
from clips import Drawing, Speech, read_speech, shares
from learning import Options, Training
from sound import Augmenter, FrontEnd

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
MEASURED = 3600.0  # seconds of speech that the feature statistics are of
MOST_MEASURED = 10  # batches for that: fewer seconds where batches are small
SETTLED = 30  # frames after which the level of a clip is about right

PATH = click.Path(path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)


def prepare(
    recipe: Recipe, real: list[Clip], made: list[Clip], folder: Path, parent: Run | None, o: Options
) -> Training:
    """A training whose speech is read. InputError for what does not fit together."""
    if (folder / LAST).exists():
        raise InputError(f"{folder}: holds a run already: choose another folder")
    if parent and parent.recipe.features != recipe.features:
        raise InputError(f"{parent.folder}: was trained on other [features] than the recipe's")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    symbols = symbols_of(recipe, real, parent)
    rate = recipe.features.sample_rate
    speech = read_speech([*real, *made], rate, symbols.encode)
    if all(clip.split != "dev" for clip in speech.clips):
        raise InputError("no clip of split 'dev' to judge by")
    synthetic = {clip.audio for clip in made}
    chances = shares(speech, [clip.audio in synthetic for clip in speech.clips], o.synthetic_share)
    drawing = Drawing(speech, chances, rate, recipe.augmentation.speed, JOINED, o.seed)
    front = FrontEnd(recipe.features, device)
    augmenter = Augmenter(speech, front, recipe.model, recipe.augmentation, device, o.seed)
    if parent:
        front.set_statistics(parent.specification.mean, parent.specification.std)
    else:
        measure(augmenter, drawing, o.batch_seconds)
    run = create_run(recipe, symbols, speech, front, folder, parent)
    keras.utils.set_random_seed(o.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if device.type == "cuda" else "float32")
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(symbols.alphabet))
    if parent:
        copy_weights(parent, model, symbols.alphabet)
    return Training(run, model, augmenter, drawing, o)


def symbols_of(recipe: Recipe, clips: list[Clip], parent: Run | None) -> Symbols:
    """Letters; or pieces: the parent's, where it has as many, or those of the texts."""
    pieces = recipe.text.pieces
    if not pieces:
        return Symbols()
    if parent and parent.recipe.text.pieces == pieces:
        return parent.symbols()
    return Symbols.learn((normalise(c.text).text for c in clips if c.split == "train"), pieces)


def measure(augmenter: Augmenter, drawing: Drawing, batch: float) -> None:
    """Sets the front end's statistics by an hour of augmented speech, or by less of small batches.

    Silence before a clip, and the frames in which the level settles, are left out.
    """
    front, model = augmenter.front, augmenter.model
    total = square = torch.zeros(front.settings.bins, device=augmenter.device).double()
    count = 0
    for rows in drawing.draw(max(1, min(MOST_MEASURED, round(MEASURED / batch))), batch):
        measured, frames = augmenter.features(rows, views=0)
        position = torch.arange(measured.shape[1], device=measured.device)
        after = model.warmup * model.time_stride + SETTLED
        kept = measured[(position < frames[:, None]) & (position >= after)].double()
        total, square, count = total + kept.sum(0), square + (kept**2).sum(0), count + len(kept)
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
    """The folder of the run, with all but its epochs."""
    learnt = [clip for clip in speech.clips if clip.split == "train"]
    facts = {
        "data": ", ".join(sorted({clip.audio.parent.parent.name for clip in learnt})),
        "training_clips": len(learnt),
        "training_hours": round(sum(clip.duration for clip in learnt) / 3600, 3),
        "licence": recipe.licence,
    }
    if parent:
        facts["initialised_from"] = {"name": parent.specification.name} | parent.best_figures()
    mean, std = (tuple(np.round(x, 3).tolist()) for x in front.statistics())
    heard = (recipe.features, mean, std)
    specification = Specification(recipe.name, symbols.alphabet, *heard, training=facts)
    return Run.create(folder, recipe, specification, symbols)


@click.command()
@click.argument("recipe")
@click.argument("manifests", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", "folder", required=True, type=PATH, help="Folder of the run.")
@click.option("--synthetic", multiple=True, type=PATH, help="A manifest of synthetic speech.")
@click.option("--synthetic-share", default=0.3, show_default=True, type=click.FloatRange(0, 0.9))
@click.option("--minutes", default=11.0, show_default=True, type=POSITIVE)
@click.option("--steps", default=0, help="End after so many, whatever the time.")
@click.option("--batch-seconds", default=800.0, show_default=True, type=POSITIVE)
@click.option("--rate", default=2.5e-3, show_default=True, type=POSITIVE, help="Learning rate.")
@click.option("--consistency", default=0.2, show_default=True, type=click.FloatRange(min=0))
@click.option("--judge-minutes", default=2.0, show_default=True, type=POSITIVE)
@click.option("--init-from", type=PATH, help="A run to begin with the weights of.")
@click.option("--seed", default=1, show_default=True)
def main(
    recipe: str,
    manifests: tuple[Path, ...],
    folder: Path,
    synthetic: tuple[Path, ...],
    init_from: Path | None,
    **options: float,
) -> None:
    """Train by RECIPE (a name or a TOML file) on the splits train and dev of MANIFESTS."""
    try:
        real = [clip for path in manifests for clip in read_manifest(path)]
        made = [clip for path in synthetic for clip in read_manifest(path, "train")]
        heard = [clip for clip in real if clip.split != "test"]
        parent = Run.open(init_from) if init_from else None
        asked = Options(**options)  # type: ignore[arg-type]
        prepare(read_recipe(recipe), heard, made, folder, parent, asked).learn()
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
