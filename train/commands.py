"""`ds2edge train` and `ds2edge data`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("recipe")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--resume", is_flag=True, help="Go on after the newest epoch in the folder.")
def train(recipe: str, manifests: tuple[Path, ...], folder: Path, epochs: int | None, batch_size: int | None,
          resume: bool) -> None:  # fmt: skip
    """Train DeepSpeech2 by RECIPE (a name or a TOML file) on the splits train and dev of MANIFESTS.

    Every epoch is saved; the best by WER on dev is what `ds2edge convert` takes.
    """
    from ds2edge.train.recipe import read_recipe
    from ds2edge.train.trainer import train as run_training

    run_training(read_recipe(recipe).with_training(epochs, batch_size), list(manifests), folder, resume)


@click.group()
def data() -> None:
    """Prepare speech to train on."""


@data.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--clips", default=3, show_default=True, type=click.IntRange(min=1), help="How often each clip is used.")
@click.option("--words", default=(3, 7), show_default=True, type=(int, int), help="Fewest and most clips in a row.")
@click.option("--dev-share", default=0.1, show_default=True, type=click.FloatRange(0, 0.5),
              help="Share of the training clips that become split dev, where the manifest has none.")  # fmt: skip
@click.option("--seed", default=1, show_default=True)
def join(manifest: Path, folder: Path, clips: int, words: tuple[int, int], dev_share: float, seed: int) -> None:
    """Join short clips of one speaker into longer ones (spoken digits into numbers, say).

    Splits stay apart. The folder gets audio (FLAC) and manifest.jsonl.
    """
    from ds2edge.train.joining import join_clips

    join_clips(manifest, folder, uses=clips, lengths=words, dev_share=dev_share, seed=seed)
