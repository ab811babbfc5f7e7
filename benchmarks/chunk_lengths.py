"""What a longer chunk saves, and how much longer one waits for it.

    python benchmarks/chunk_lengths.py RUN

The int8 graph of a run at every power of two of steps from 80 ms to 1.3 s of sound, in turns, on one thread.
Milliseconds of processor time.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
from engines import silent_step
from int8_limit import CLIPS
from stock_models import CORPUS
from timing import heading, in_turns, median, ratio, table

from ds2edge.convert.conversion import convert
from ds2edge.runtime.network import Network
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.run import Run

SHORTEST, LONGEST = 0.08, 1.3  # seconds of sound in a chunk


def measure(run: Run, folder: Path, rounds: int) -> list[dict[str, float]]:
    """A row for each length. A sound waits for the rest of its chunk, for the computing and for the lookahead."""
    settings, features = run.recipe.model, run.recipe.features
    step = settings.time_stride * features.hop / features.sample_rate
    paths = {
        2**i: folder / f"{2**i}.tflite" for i in range(8) if SHORTEST <= 2**i * step <= LONGEST
    }
    for steps, path in paths.items():
        click.echo(f"converting: {steps} steps", err=True)
        convert(run.folder, "int8", read_manifest(CORPUS)[:CLIPS], path, steps)
    times = in_turns(
        {str(steps): silent_step(Network(path)) for steps, path in paths.items()}, rounds
    )
    longest = max(paths)
    return [
        {
            "steps": steps,
            "chunk, ms": round(1000 * steps * step),
            "computing, ms a chunk": median(times[str(steps)]),
            "computing, ms a second of sound": round(median(times[str(steps)]) / (steps * step), 2),
            "to the longest": round(
                ratio(times[str(steps)], times[str(longest)]) * longest / steps, 3
            ),
            "longest wait, ms": round(
                1000 * step * (steps + settings.delay) + median(times[str(steps)])
            ),
            "file, MB": round(path.stat().st_size / 1e6, 2),
        }
        for steps, path in paths.items()
    ]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--rounds", default=100, show_default=True, type=click.IntRange(1), help="Turns of each."
)
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="File to write the figures to."
)
def main(run: Path, rounds: int, path: Path | None) -> None:
    """Measure the int8 graph of RUN at several lengths of chunk."""
    opened = Run.open(run)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(opened, Path(folder), rounds)
    if path:
        path.write_text(json.dumps(rows, indent=1))
    click.echo(f"{heading(opened, 'int8')}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
