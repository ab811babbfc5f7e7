"""Draws error rates on dev over hours of training speech and over epochs, for several runs.

python benchmarks/learning_curve.py RUN... -o learning-curve.png
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import click
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ds2edge.train.reports import markdown_table
from ds2edge.train.run import Run


class Curve(NamedTuple):
    """Figures of one run."""

    name: str
    hours: float  # of training speech
    epochs: list[dict[str, float]]  # rows of log.csv
    best: dict[str, Any]  # figures of the best epoch


@click.command()
@click.argument(
    "folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Picture file; its suffix chooses the format.",
)
def main(folders: tuple[Path, ...], output: Path) -> None:
    """Print a table with the best epoch of each RUN by WER on dev, and draw all runs."""
    by_hours = sorted(map(read_curve, folders), key=lambda curve: curve.hours)
    header = ["run", "hours of speech", "epochs", "minutes", "dev WER %", "dev CER %"]
    click.echo("\n".join(markdown_table(header, map(table_row, by_hours))))
    with rc_context({"svg.hashsalt": "learning-curve"}):
        draw(by_hours).savefig(output, dpi=110)


def table_row(curve: Curve) -> list[str]:
    """Cells of a run's row."""
    minutes = sum(row["seconds"] for row in curve.epochs) / 60
    return [
        curve.name,
        f"{curve.hours:.2f}",
        f"{len(curve.epochs)}",
        f"{minutes:.0f}",
        f"{curve.best['dev_wer']:.1f}",
        f"{curve.best['dev_cer']:.1f}",
    ]


def read_curve(folder: Path) -> Curve:
    """The figures of the run in `folder`."""
    run = Run.open(folder)
    with (run.folder / "log.csv").open() as file:
        epochs = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    hours = float(run.specification.training["training_hours"])
    return Curve(run.recipe.name, hours, epochs, run.best_figures())


def draw(by_hours: list[Curve]) -> Figure:
    """All epochs; on the left, best epochs over hours of speech, if the runs differ in these."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    if len({curve.hours for curve in by_hours}) > 1:
        over_hours, over_epochs = figure.subplots(1, 2, sharey=True)
        draw_hours(over_hours, by_hours)
    else:
        over_epochs = figure.subplots()
    for curve in by_hours:
        numbers = [row["epoch"] for row in curve.epochs]
        (line,) = over_epochs.plot(
            numbers,
            [row["dev_wer"] for row in curve.epochs],
            label=f"{curve.name}, {curve.hours:.3g} h",
        )
        over_epochs.plot(
            numbers, [row["dev_cer"] for row in curve.epochs], "--", color=line.get_color()
        )
    over_epochs.set(
        xlabel="epoch (solid: WER, dashed: CER)", ylabel="% of dev, greedy", ylim=(0, 115)
    )
    over_epochs.legend()
    return figure


def draw_hours(axes: Axes, by_hours: list[Curve]) -> None:
    """Best epochs over hours of speech."""
    hours = [curve.hours for curve in by_hours]
    for rate, style in (("wer", "o-"), ("cer", "o--")):
        axes.plot(
            hours, [curve.best[f"dev_{rate}"] for curve in by_hours], style, label=rate.upper()
        )
    axes.set(xscale="log", xlabel="hours of training speech", ylabel="% of dev, greedy")
    axes.set_xticks(hours, [f"{value:.3g}" for value in hours])
    axes.minorticks_off()
    axes.legend()


if __name__ == "__main__":
    main()
