"""What a quasi-recurrent layer saves on a device, against GRUs and LSTMs with as many weights.

    python benchmarks/cells.py

All networks have the convolutions, the step and the width of recipe `english`. Their layers hold as
many weights, up to the width of an LSTM, which is rounded. They are random, converted to int8, and
timed in turn on one thread. Times are milliseconds of processor time. The exit code is 1 if the
target is missed.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import click
from engines import silent_step
from random_run import write_random_run
from timing import in_turns, machine, median, print_missed, ratio, table

from ds2edge.convert.conversion import convert_run
from ds2edge.runtime.network import Network
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.recipe import ModelSettings, read_recipe

MIN_SPEED_UP = 2.0  # target: of the quasi-recurrent network over the GRU, per second of audio
LOOKAHEAD = 7  # steps, for the cells whose layers do not look ahead themselves


def networks(settings: ModelSettings) -> dict[str, ModelSettings]:
    """The quasi-recurrent network and others with as many weights.

    A layer of width w has 3 w^2 weights if it is quasi-recurrent, 6 w^2 as a GRU and 8 w^2 as an
    LSTM.
    """
    plain = dataclasses.replace(
        settings, ahead=0, dropout=0.0, lookahead=LOOKAHEAD, depth=settings.depth // 2
    )
    lstm_width = 8 * round(settings.width * (6 / 8) ** 0.5 / 8)
    return {
        "qrnn": settings,
        "gru": dataclasses.replace(plain, cell="gru"),
        "lstm": dataclasses.replace(plain, cell="lstm", width=lstm_width),
    }


def measure(recipe_name: str, chunk_steps: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """One row of figures for each cell."""
    recipe = read_recipe(recipe_name)
    paths: dict[str, Path] = {}
    weights: dict[str, int] = {}
    for name, settings in networks(recipe.model).items():
        click.echo(f"converting: {name}", err=True)
        run = folder / name
        weights[name] = write_random_run(run, dataclasses.replace(recipe, model=settings))
        paths[name] = folder / f"{name}.tflite"
        convert_run(run, "int8", [], paths[name], chunk_steps)
    times = in_turns({name: silent_step(Network(path)) for name, path in paths.items()}, rounds)
    seconds = chunk_steps * recipe.model.step_seconds(recipe.features)
    return [
        {
            "cell": name,
            "layers": f"{settings.depth} x {settings.width}",
            "weights": weights[name],
            "file, MB": round(paths[name].stat().st_size / 1e6, 2),
            "ms per chunk": median(times[name]),
            "ms per second of audio": round(median(times[name]) / seconds, 2),
            "relative to qrnn": ratio(times[name], times["qrnn"]),
        }
        for name, settings in networks(recipe.model).items()
    ]


@click.command()
@click.option("--recipe", default="english", show_default=True, help="Recipe of a qrnn network.")
@click.option(
    "--chunk-steps", default=4, show_default=True, type=click.IntRange(1), help="Steps in a chunk."
)
@click.option(
    "--rounds", default=200, show_default=True, type=click.IntRange(1), help="Rounds of timing."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output file (JSON).")
def main(recipe: str, chunk_steps: int, rounds: int, output: Path | None) -> None:
    """Time the int8 graphs of a quasi-recurrent network, a GRU and an LSTM."""
    quiet_process()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(recipe, chunk_steps, rounds, Path(folder))
    if output:
        output.write_text(json.dumps(rows, indent=1))
    click.echo(f"{recipe}, int8, chunks of {chunk_steps} steps, one thread\n{machine()}\n")
    click.echo(table(rows))
    gru = next(row for row in rows if row["cell"] == "gru")
    slow = gru["relative to qrnn"] < MIN_SPEED_UP
    print_missed([f"the GRU takes {gru['relative to qrnn']} times as long"] if slow else [])


if __name__ == "__main__":
    main()
