"""How close the int8 step graph comes to what one thread of this machine can do.

    python benchmarks/random_run.py RUN --recipe edge      # or a trained run
    python benchmarks/int8_limit.py RUN

Measures two times that no chunk can beat. The longer one is the bound:
- reading: the weights are read, each once a step or once a chunk, at the machine's read bandwidth;
- products: the products of the graph alone, in int8, through the same engine (bare_graph.py).
Then the graph itself runs. All take turns. Times are milliseconds of processor time. The exit code
is 1 if a target is missed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from bare_graph import Work, work, write_bare_graph
from engines import DefaultInterpreter, silent_step
from stock_models import CORPUS
from timing import heading, in_turns, median, print_missed, ratio, table

from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.runtime.network import Network
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.run import Run

MIN_SPEED = 0.5  # target: least share of the bound's speed that the graph reaches
MAX_SIZE = 0.27  # target: greatest share of the float32 file's size
CLIPS = 4  # to calibrate on; the ranges do not change the times


def reader(needed: Work, layers: int) -> Callable[[], object]:
    """A function that reads as many bytes as a chunk reads weights, and in the same order.

    The weights of each recurrent layer are read again at every step.
    """
    once = np.ones(max(1, needed.other_bytes // 8), np.int64)
    layer = np.ones(max(1, needed.recurrent_bytes // layers // 8), np.int64)

    def read() -> None:
        for words in (once, *[layer] * (layers * needed.steps)):
            np.bitwise_or.reduce(words)  # faster here than numpy's sum and dot

    return read


def measure(run: Run, folder: Path, chunk_steps: int, rounds: int) -> dict[str, Any]:
    """Figures of the int8 graph, its bound and its file."""
    whole = folder / "int8.tflite"
    plain = folder / "float32.tflite"
    bare = folder / "bare.tflite"
    click.echo("converting: int8, float32, the products alone", err=True)
    convert_run(run.folder, "int8", read_manifest(CORPUS)[:CLIPS], whole, chunk_steps)
    convert_run(run.folder, "float32", [], plain, chunk_steps)
    model = run.best_model()
    needed = work(model, chunk_steps)
    inspection = inspect_model(whole)
    write_bare_graph(model, Network(whole).specification, bare)
    ways = {
        "reading": reader(needed, run.recipe.model.depth),
        "products": silent_step(Network(bare)),
        "graph": silent_step(Network(whole)),
        "products, default Interpreter": silent_step(DefaultInterpreter(bare)),
        "graph, default Interpreter": silent_step(DefaultInterpreter(whole)),
    }
    times = in_turns(ways, rounds)
    bound = max("reading", "products", key=lambda way: median(times[way]))
    return {
        "milliseconds": {way: median(spent) for way, spent in times.items()},
        "of_bound": {way: ratio(times[bound], spent) for way, spent in times.items()},
        "bound": bound,
        "bytes_per_step": needed.recurrent_bytes,
        "bytes_per_chunk": needed.bytes,
        "gigabytes_per_second": round(needed.bytes / median(times["reading"]) / 1e6, 1),
        "macs_per_chunk": needed.macs,
        "macs_per_second": round(1000 * needed.macs / median(times["products"])),
        "operations": sum(inspection.operations.values()),
        "partitions": inspection.partitions,
        "file_bytes": whole.stat().st_size,
        "of_float32_file": round(whole.stat().st_size / plain.stat().st_size, 4),
    }


def show(figures: dict[str, Any]) -> str:
    """The figures as text."""
    what = {
        "reading": f"{figures['bytes_per_chunk'] / 1e6:.1f} MB of weights, "
        f"{figures['bytes_per_step'] / 1e6:.2f} MB a step, "
        f"at {figures['gigabytes_per_second']} GB/s",
        "products": f"{figures['macs_per_chunk'] / 1e6:.1f} million multiply-adds in int8 in the "
        f"kit's engine: {figures['macs_per_second'] / 1e9:.1f} billion/s",
        "graph": f"the whole graph in the kit's engine: {figures['operations']} operations, "
        f"{figures['partitions']} partition(s)",
    }
    rows = [
        {
            "": way,
            "what": what.get(way),
            "ms per chunk": spent,
            "bound / measured": figures["of_bound"][way],
        }
        for way, spent in figures["milliseconds"].items()
    ]
    return (
        f"{table(rows)}\n\nThe bound is {figures['bound']}. "
        f"File: {figures['file_bytes'] / 1e6:.2f} MB, {figures['of_float32_file']} of float32."
    )


def missed(figures: dict[str, Any]) -> list[str]:
    """A line for each missed target."""
    reached = figures["of_bound"]["graph"]
    size = figures["of_float32_file"]
    lines = []
    if reached < MIN_SPEED:
        lines.append(f"{reached} of the bound, below {MIN_SPEED} by {MIN_SPEED - reached:.3f}")
    if figures["partitions"] != 1:
        lines.append(f"{figures['partitions']} delegate partitions instead of 1")
    if size > MAX_SIZE:
        lines.append(f"{size} of the size of float32, above {MAX_SIZE} by {size - MAX_SIZE:.4f}")
    return lines


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--chunk-steps",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Output steps in a chunk.",
)
@click.option(
    "--rounds", default=200, show_default=True, type=click.IntRange(1), help="Rounds of timing."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output file (JSON).")
def main(run: Path, chunk_steps: int, rounds: int, output: Path | None) -> None:
    """Compare the int8 step graph of RUN with the bound that this machine sets."""
    quiet_process()
    opened = Run.open(run)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(opened, Path(folder), chunk_steps, rounds)
    if output:
        output.write_text(json.dumps(figures, indent=1))
    click.echo(f"{heading(opened, f'{chunk_steps} steps per chunk')}\n\n{show(figures)}\n")
    print_missed(missed(figures))


if __name__ == "__main__":
    main()
