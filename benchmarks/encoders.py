"""Trains several recipes for the same time on this machine, one after the other.

    python benchmarks/encoders.py MANIFEST... -o FOLDER --minutes 60

The default recipes are a recurrent encoder and a conformer of the same size and latency, in
benchmarks/encoders. Each is first trained for two epochs. The second one, which no longer waits for
the cache and for the tracing of graphs, tells how many epochs fit into the time. A training of that
many epochs follows, so the learning rate of both falls to 0 at the end of the same time. Nothing
else may run on the machine.

A run that is there already is not trained again, so an interrupted comparison can be repeated.
`python benchmarks/learning_curve.py FOLDER/recurrent FOLDER/conformer -o curve.png` draws both.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from ds2edge.train.recipe import read_recipe
from ds2edge.train.reports import markdown_table

RECIPES = Path(__file__).with_suffix("")


@click.command()
@click.argument(
    "manifests", metavar="MANIFEST...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the runs."
)
@click.option(
    "--minutes",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Length of each training.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    type=click.Path(path_type=Path),
    default=[RECIPES / "recurrent.toml", RECIPES / "conformer.toml"],
    help="A TOML file in place of the default recipes. Can be repeated.",
)
def main(
    manifests: tuple[Path, ...], output: Path, minutes: float, recipes: tuple[Path, ...]
) -> None:
    """Train each recipe for the same time and print the best epoch of each."""
    rows = []
    for recipe in recipes:
        name = read_recipe(recipe).name
        trial = train(recipe, manifests, output / f"{name}-trial", epochs=2)
        epochs = max(1, round(60 * minutes / float(trial[-1]["seconds"])))
        history = train(recipe, manifests, output / name, epochs)
        rows.append(table_row(name, history))
    header = ["recipe", "epochs", "minutes", "best epoch", "dev WER %", "dev CER %"]
    click.echo("\n".join(markdown_table(header, rows)))


def train(
    recipe: Path, manifests: tuple[Path, ...], folder: Path, epochs: int
) -> list[dict[str, Any]]:
    """Trains in a process of its own, as a user would; returns the rows of log.csv."""
    log = folder / "log.csv"
    if not log.exists() or len(read_log(log)) < epochs:
        command = [
            Path(sys.executable).with_name("ds2edge"),
            "train",
            recipe,
            *manifests,
            "-o",
            folder,
            "--epochs",
            epochs,
        ]
        if log.exists():
            command.append("--resume")
        subprocess.run(list(map(str, command)), check=True)
    return read_log(log)


def read_log(path: Path) -> list[dict[str, Any]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def table_row(name: str, history: list[dict[str, Any]]) -> list[str]:
    """Cells of a recipe's row."""
    best = min(history, key=lambda row: (float(row["dev_wer"]), float(row["dev_cer"])))
    minutes = sum(float(row["seconds"]) for row in history) / 60
    return [
        name,
        str(len(history)),
        f"{minutes:.1f}",
        str(best["epoch"]),
        f"{float(best['dev_wer']):.1f}",
        f"{float(best['dev_cer']):.1f}",
    ]


if __name__ == "__main__":
    main()
