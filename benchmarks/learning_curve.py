"""What more speech and more epochs bring: error rates on dev of runs that differ in how much they were trained on.

python benchmarks/learning_curve.py RUN... -o learning-curve.png
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
from matplotlib import rc_context
from matplotlib.figure import Figure

from ds2edge.train.run import Run

Epochs = list[dict[str, float]]  # rows of log.csv


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Picture, by its suffix.")
def main(folders: tuple[Path, ...], output: Path) -> None:
    """Print a row for each RUN, the best epoch by WER on dev, and draw all."""
    by_hours = sorted((float(Run.open(folder).specification.training["training_hours"]), read_log(folder))
                      for folder in folders)  # fmt: skip
    click.echo("| hours of speech | epochs | minutes | dev WER % | dev CER % |\n|---|---|---|---|---|")
    for hours, epochs in by_hours:
        best, minutes = best_of(epochs), sum(row["seconds"] for row in epochs) / 60
        click.echo(f"| {hours:.2f} | {len(epochs)} | {minutes:.0f} | {best['dev_wer']:.1f} | {best['dev_cer']:.1f} |")
    with rc_context({"svg.hashsalt": "learning-curve"}):
        draw(by_hours).savefig(output, dpi=110)


def read_log(folder: Path) -> Epochs:
    """The figures of every epoch."""
    with (folder / "log.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def best_of(epochs: Epochs) -> dict[str, float]:
    """The epoch that is kept."""
    return min(epochs, key=lambda row: (row["dev_wer"], row["dev_cer"]))


def draw(by_hours: list[tuple[float, Epochs]]) -> Figure:
    """On the left the best epoch over hours of speech, on the right all epochs."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    over_hours, over_epochs = figure.subplots(1, 2, sharey=True)
    hours = [hours for hours, _ in by_hours]
    for rate, style in (("wer", "o-"), ("cer", "o--")):
        over_hours.plot(hours, [best_of(epochs)[f"dev_{rate}"] for _, epochs in by_hours], style, label=rate.upper())
    over_hours.set(xscale="log", xlabel="hours of speech to learn from", ylabel="% of dev, greedy", ylim=(0, 105))
    over_hours.set_xticks(hours, [f"{value:.3g}" for value in hours])
    over_hours.minorticks_off()
    over_hours.legend()
    for value, epochs in by_hours:
        over_epochs.plot([row["epoch"] for row in epochs], [row["dev_wer"] for row in epochs], label=f"{value:.3g} h")
    over_epochs.set(xlabel="epoch")
    over_epochs.legend(title="WER")
    return figure


if __name__ == "__main__":
    main()
