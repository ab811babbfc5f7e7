"""How close is the int8 step graph to what one thread of this machine can do?

    python benchmarks/random_run.py RUN --recipe edge      # or a trained run
    python benchmarks/int8_limit.py RUN

Two times that no chunk can beat, the longer of which is the bound: that of reading the weights, each once a step or
once a chunk, at the machine's read bandwidth; and that of the graph's products alone, int8, through the same engine
(bare_graph.py). Then the graph itself, all in turns. Milliseconds of processor time. Exit code 1 if a target is missed.
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
from timing import heading, in_turns, median, ratio, table, tell_missed

from ds2edge.convert.conversion import convert
from ds2edge.convert.inspection import inspect_model
from ds2edge.runtime.network import Network
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.run import Run

OF_BOUND = 0.5  # least share of the bound's speed that the graph must reach
OF_FLOAT32 = 0.27  # greatest share of the float32 file's size
CLIPS = 4  # to calibrate on: the ranges change nothing in the times


def reader(needed: Work, layers: int) -> Callable[[], object]:
    """Reads as many bytes as a chunk does weights, in its order: those of each recurrent layer at every step."""
    once = np.ones(max(1, needed.other_bytes // 8), np.int64)
    layer = np.ones(max(1, needed.recurrent_bytes // layers // 8), np.int64)

    def read() -> None:
        for words in (once, *[layer] * (layers * needed.steps)):
            np.bitwise_or.reduce(words)  # the fastest of numpy's reductions here, sum and dot tried

    return read


def measure(run: Run, folder: Path, chunk_steps: int, rounds: int) -> dict[str, Any]:
    """Figures of the int8 graph, its bound, and its file."""
    whole, plain, bare = folder / "int8.tflite", folder / "float32.tflite", folder / "bare.tflite"
    click.echo("converting: int8, float32, the products alone", err=True)
    convert(run.folder, "int8", read_manifest(CORPUS)[:CLIPS], whole, chunk_steps)
    convert(run.folder, "float32", [], plain, chunk_steps)
    model = run.best_model()
    needed, found = work(model, chunk_steps), inspect_model(whole)
    write_bare_graph(model, Network(whole).specification, bare)
    times = in_turns(
        {
            "reading": reader(needed, run.recipe.model.depth),
            "products": silent_step(Network(bare)),
            "graph": silent_step(Network(whole)),
            "products, default Interpreter": silent_step(DefaultInterpreter(bare)),
            "graph, default Interpreter": silent_step(DefaultInterpreter(whole)),
        },
        rounds,
    )
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
        "operations": sum(found.operations.values()),
        "partitions": found.partitions,
        "file_bytes": whole.stat().st_size,
        "of_float32_file": round(whole.stat().st_size / plain.stat().st_size, 4),
    }


def show(found: dict[str, Any]) -> str:
    """For people."""
    what = {
        "reading": f"{found['bytes_per_chunk'] / 1e6:.1f} MB of weights, "
        f"{found['bytes_per_step'] / 1e6:.2f} MB a step, at {found['gigabytes_per_second']} GB/s",
        "products": f"{found['macs_per_chunk'] / 1e6:.1f} million multiply-adds, int8, through the kit's engine: "
        f"{found['macs_per_second'] / 1e9:.1f} billion/s",
        "graph": f"the whole of it, through the kit's engine: {found['operations']} operations, "
        f"{found['partitions']} partition(s)",
    }
    rows = [
        {
            "": way,
            "what": what.get(way),
            "ms a chunk": spent,
            "bound / measured": found["of_bound"][way],
        }
        for way, spent in found["milliseconds"].items()
    ]
    return (
        f"{table(rows)}\n\nThe bound is {found['bound']}. "
        f"File: {found['file_bytes'] / 1e6:.2f} MB, {found['of_float32_file']} of float32."
    )


def missed(found: dict[str, Any]) -> list[str]:
    """A line for each target that was missed."""
    reached, lines = found["of_bound"]["graph"], []
    if reached < OF_BOUND:
        lines.append(
            f"{reached} of the bound, {OF_BOUND} wanted: {OF_BOUND - reached:.3f} too little"
        )
    if found["partitions"] != 1:
        lines.append(f"{found['partitions']} delegate partitions, 1 wanted")
    if found["of_float32_file"] > OF_FLOAT32:
        lines.append(
            f"{found['of_float32_file']} of float32's size, at most {OF_FLOAT32} wanted: "
            f"{found['of_float32_file'] - OF_FLOAT32:.4f} too much"
        )
    return lines


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--chunk-steps",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Length of the graph.",
)
@click.option(
    "--rounds", default=200, show_default=True, type=click.IntRange(1), help="Turns of each."
)
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="File to write the figures to."
)
def main(run: Path, chunk_steps: int, rounds: int, path: Path | None) -> None:
    """Compare the int8 step graph of RUN with the bound that this machine sets."""
    opened = Run.open(run)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(opened, Path(folder), chunk_steps, rounds)
    if path:
        path.write_text(json.dumps(found, indent=1))
    click.echo(f"{heading(opened, f'{chunk_steps} steps a chunk')}\n\n{show(found)}\n")
    tell_missed(missed(found))


if __name__ == "__main__":
    main()
