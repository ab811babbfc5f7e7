"""`ds2edge train`."""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click

from ds2edge.runtime.errors import InputError


def _cache() -> Path:
    """Where features are kept: in the home of the user, or beside other temporary files where there is none."""
    try:
        return Path.home() / ".cache" / "ds2edge"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"ds2edge-{os.getuid()}"


@click.command(short_help="Train a model from manifests of speech.")
@click.argument("recipe")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the run.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Its peak, instead of the recipe's.",
)
@click.option(
    "--qat",
    is_flag=True,
    help="Quantization-aware: train on as int8 will round; needs --init-from.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on after the newest epoch in the folder, with the recipe and epochs that it was begun "
    "with; for more, --init-from it in a new folder.",
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    help="A run, or `pretrained`, to begin with the weights of (fine-tuning).",
)
@click.option(
    "--max-seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Leave out longer clips: a batch takes the memory of its longest.",
)
@click.option(
    "--cache",
    default=_cache,
    show_default="~/.cache/ds2edge",
    envvar="DS2EDGE_CACHE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Folder of features that are computed once; runs may share it.",
)
def train(
    recipe: str,
    manifests: tuple[Path, ...],
    folder: Path,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    qat: bool,
    resume: bool,
    init_from: Path | None,
    max_seconds: float,
    cache: Path,
) -> None:
    """Train DeepSpeech2 by RECIPE (a name or a TOML file) on the splits train and dev of MANIFESTS.

    Every epoch is saved; the best by WER on dev is what `ds2edge convert` takes.
    """
    from ds2edge.train.distribution import leads_by_environment
    from ds2edge.train.lock import alone_in
    from ds2edge.train.recipe import read_recipe
    from ds2edge.train.resuming import require_same
    from ds2edge.train.run import Run
    from ds2edge.train.trainer import train as run_training

    if resume and init_from:
        raise InputError(
            "--resume goes on with the weights of the run itself: leave out --init-from"
        )
    chosen = read_recipe(recipe).with_training(epochs, batch_size, learning_rate, qat)
    with alone_in(folder) if leads_by_environment() else nullcontext():
        if resume:
            require_same(folder, Run.open(folder).recipe, chosen)
        run_training(chosen, list(manifests), folder, resume, init_from, cache, max_seconds)
