"""`ds2edge average`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Average the weights of several trainings.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--dev",
    "manifests",
    multiple=True,
    required=True,
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="Manifest whose dev clips each run, and then the mean, is measured on. Repeatable.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the new run.",
)
def average(runs: tuple[Path, ...], manifests: tuple[Path, ...], output: Path) -> None:
    """Average the best weights of RUNS, and measure whether the mean is better than each.

    The runs must have started from one another, or from the same run (`ds2edge train --init-from`).
    """
    if len(runs) == 1:
        raise click.UsageError(f"{runs[0]} alone has no mean: name two runs or more")
    from ds2edge.train.average import average as run_average

    names = [*map(str, runs), f"mean of these, {output}"]
    for name, figures in zip(names, run_average(runs, manifests, output), strict=True):
        click.echo(f"{name}: WER {figures.wer:.2f} %, CER {figures.cer:.2f} % on dev")
