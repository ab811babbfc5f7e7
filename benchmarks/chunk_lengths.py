"""What a longer chunk saves in computing, and what it costs in latency.

    python benchmarks/chunk_lengths.py RUN

Converts a run to int8 with chunks of 80 ms to 1.3 s, in powers of two of steps, and times them in
turn on one thread. Times are milliseconds of processor time.
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

from ds2edge.convert.conversion import convert_run
from ds2edge.runtime.network import Network
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.run import Run

# Seconds of audio in a chunk.
SHORTEST = 0.08
LONGEST = 1.3


def measure(run: Run, folder: Path, rounds: int) -> list[dict[str, float]]:
    """One row of figures for each chunk length.

    A sound waits for the rest of its chunk, for the lookahead and for the computing.
    """
    settings = run.recipe.model
    features = run.recipe.features
    step = settings.time_stride * features.hop / features.sample_rate  # seconds
    lengths = [2**i for i in range(8) if SHORTEST <= 2**i * step <= LONGEST]
    paths = {steps: folder / f"{steps}.tflite" for steps in lengths}
    for steps, path in paths.items():
        click.echo(f"converting: {steps} steps", err=True)
        convert_run(run.folder, "int8", read_manifest(CORPUS)[:CLIPS], path, steps)
    networks = {str(steps): silent_step(Network(path)) for steps, path in paths.items()}
    times = in_turns(networks, rounds)
    longest = max(lengths)
    rows = []
    for steps, path in paths.items():
        milliseconds = median(times[str(steps)])
        relative = ratio(times[str(steps)], times[str(longest)]) * longest / steps
        wait = 1000 * step * (steps + settings.delay) + milliseconds
        row = {
            "steps": steps,
            "chunk, ms": round(1000 * steps * step),
            "ms per chunk": milliseconds,
            "ms per second of audio": round(milliseconds / (steps * step), 2),
            "relative to the longest": round(relative, 3),
            "longest wait, ms": round(wait),
            "file, MB": round(path.stat().st_size / 1e6, 2),
        }
        rows.append(row)
    return rows


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--rounds", default=100, show_default=True, type=click.IntRange(1), help="Rounds of timing."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output file (JSON).")
def main(run: Path, rounds: int, output: Path | None) -> None:
    """Time the int8 graph of RUN with several chunk lengths."""
    quiet_process()
    opened = Run.open(run)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(opened, Path(folder), rounds)
    if output:
        output.write_text(json.dumps(rows, indent=1))
    click.echo(f"{heading(opened, 'int8')}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
