"""`ds2edge train`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ds2edge.train.files import cache_folder
from ds2edge.train.recipe_files import summaries

if TYPE_CHECKING:
    from ds2edge.train.run import Run


class _TrainCommand(click.Command):
    """Lists the shipped recipes at the end of the help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Recipes"):
            formatter.write_dl(list(summaries().items()))


@click.command(cls=_TrainCommand, short_help="Train a model from manifests of speech.")
@click.argument("recipe")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the run, for checkpoints and logs.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Number of epochs, in place of the recipe's."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Clips in a batch, in place of the recipe's."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Peak of the learning rate, in place of the recipe's.",
)
@click.option(
    "--qat",
    is_flag=True,
    help="Quantization-aware training: rounds as int8 will. Needs --init-from.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue after the newest epoch in the folder. Needs the recipe and the epochs that the "
    "run began with. For more epochs, use --init-from with a new folder.",
)
@click.option(
    "--init-from",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Start from the weights of another run, or of `pretrained` (fine-tuning).",
)
@click.option(
    "--max-seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Longest clip to train on, in seconds. A batch is padded to its longest clip.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Skip unusable clips even if they are more than 1 % of a large set.",
)
@click.option(
    "--cache",
    default=cache_folder,
    show_default="~/.cache/ds2edge",
    envvar="DS2EDGE_CACHE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Folder of features, which are computed once. Several runs may share it.",
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
    skip_bad: bool,
    cache: Path,
) -> None:
    """Train DeepSpeech2 with RECIPE on the splits train and dev of MANIFESTS.

    RECIPE is a name from the list below or a TOML file. Every epoch is saved. `ds2edge convert`
    uses the one with the best WER on dev.
    """
    from ds2edge.train.data.limits import ClipLimits
    from ds2edge.train.lock import alone_in, is_first_process
    from ds2edge.train.recipe import read_recipe
    from ds2edge.train.trainer import train as run_training

    chosen = read_recipe(recipe).with_training(epochs, batch_size, learning_rate, qat)
    limits = ClipLimits(max_seconds, skip_bad)
    with alone_in(folder):
        run = run_training(chosen, manifests, folder, resume, init_from, cache, limits)
    if is_first_process():
        click.echo(_summary(run, manifests))


def _summary(run: Run, manifests: tuple[Path, ...]) -> str:
    """The epoch that is kept, its error rates, and the command that comes next."""
    best = run.best_figures()
    command = ["ds2edge", "convert", str(run.folder)]
    if not run.recipe.training.qat:  # a quantization-aware run knows its ranges
        command += ["--calibration", str(manifests[0])]
    command += ["-o", f"{run.folder.resolve().name}.tflite"]
    return (
        f"best epoch {best['best_epoch']}: WER {best['dev_wer']:.2f} %, "
        f"CER {best['dev_cer']:.2f} % on dev, kept in {run.best}\n"
        f"next: {shlex.join(command)}"
    )
