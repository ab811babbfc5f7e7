"""One network converted as others do and as the kit does, all on one thread in one run.

    pip install tf_keras                       # for the fused LSTM
    python benchmarks/random_run.py RUN --recipe edge      # or a trained run of forward GRUs
    python benchmarks/conversions.py RUN

Others' ways (stock_models.py) run through LiteRT's default `Interpreter`, as others run them; the kit's through the
kit's engine (`Network`), and through the default one too: that tells what the graph gains from what the engine gains.
All hear the same speech, and their logits are compared with those of the Keras model. Then all run a chunk in turns:
milliseconds of processor time. A conversion that fails or crashes is told as such. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from engines import ENGINES, silent_step
from stock_models import CORPUS, WAYS, speech
from timing import heading, in_turns, median, ratio, table, tell_missed

from ds2edge.convert.conversion import convert
from ds2edge.convert.export import FloatNetwork
from ds2edge.convert.inspection import inspect_model
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.run import Run

KIT = ("int8", "dynamic", "float32")
BEST = "kit int8"
TIMES_FLOAT32 = 4.0  # how much faster the kit's int8 is to be than any float32 of the same network
CLIPS = 20  # for the kit to calibrate on


def convert_all(run: Run, chunk_steps: int, folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Files by way, and what went wrong with the other ways."""
    made, failed = {}, {}
    for mode in KIT:
        click.echo(f"converting: kit {mode}", err=True)
        made[f"kit {mode}"] = folder / f"kit {mode}.tflite"
        convert(
            run.folder,
            mode,
            read_manifest(CORPUS, "train")[:CLIPS],
            made[f"kit {mode}"],
            chunk_steps,
        )
    for way in WAYS:
        click.echo(f"converting: {way}", err=True)
        path, script = folder / f"{way}.tflite", Path(__file__).with_name("stock_models.py")
        command = [
            sys.executable,
            script,
            run.folder,
            way,
            "-o",
            path,
            "--chunk-steps",
            str(chunk_steps),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            made[way] = path
        elif done.returncode < 0:
            failed[way] = f"the converter crashed: {signal.Signals(-done.returncode).name}"
        else:
            failed[way] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[
                -1
            ][:200]
    return made, failed


def stream(network: Any, chunks: list[np.ndarray]) -> np.ndarray:
    """Logits of a stream from its beginning."""
    states, logits = network.initial_states(), []
    for frames in chunks:
        found, states = network.step(frames[0], states)
        logits.append(np.array(found))
    return np.concatenate(logits)


def signal_to_noise(logits: np.ndarray, reference: np.ndarray) -> float:
    """In dB, of what varies: what stays the same says nothing."""
    return round(
        float(10 * np.log10(reference.var() / max(1e-30, np.mean((logits - reference) ** 2)))), 1
    )


def measure(run: Run, made: dict[str, Path], chunk_steps: int, rounds: int) -> list[dict[str, Any]]:
    """A row for every way and engine, the fastest first."""
    ways = {
        way: (path, "kit" if way.startswith("kit") else "default") for way, path in made.items()
    }
    ways |= {
        f"{way}, default Interpreter": (path, "default")
        for way, path in made.items()
        if way.startswith("kit")
    }
    loaded = {way: ENGINES[engine](path) for way, (path, engine) in ways.items()}
    chunks = list(speech(run, chunk_steps * run.recipe.model.time_stride, "test"))
    reference = stream(FloatNetwork(run.best_model(), loaded[BEST].specification), chunks)
    logits = {way: stream(network, chunks) for way, network in loaded.items()}
    times = in_turns({way: silent_step(network) for way, network in loaded.items()}, rounds)
    rows = []
    for way, (path, _) in ways.items():
        stock, found = WAYS.get(way), inspect_model(path)
        rows.append(
            {
                "way": way,
                "what": stock.what
                if stock
                else "unrolled, ranges of the kit's own"
                if "int8" in way
                else "unrolled",
                "ms a chunk": median(times[way]),
                "to kit int8": ratio(times[way], times[BEST]),
                "file, MB": round(path.stat().st_size / 1e6, 2),
                "operations": sum(found.operations.values()),
                "partitions": found.partitions,
                "float inside": "yes" if found.float_tensors else "no",
                # A fused LSTM is another network: there is nothing to compare its logits with.
                "SNR, dB": None
                if stock and stock.fused
                else signal_to_noise(logits[way], reference),
            }
        )
    return sorted(rows, key=lambda row: row["to kit int8"])


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each target that was missed; that of float32 is about the same network, so not the LSTM."""
    lines = []
    for row in rows:
        name, times = row["way"], row["to kit int8"]
        if not name.startswith("kit int8") and times <= 1:
            lines.append(
                f"{name} takes {times} of the time of kit int8, which is to be the fastest"
            )
        elif row["SNR, dB"] is not None and "float32" in name and times < TIMES_FLOAT32:
            lines.append(
                f"kit int8 is {times} times as fast as {name}, {TIMES_FLOAT32:g} wanted: "
                f"{TIMES_FLOAT32 - times:.2f} too little"
            )
    return lines


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--chunk-steps",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Length of the graphs.",
)
@click.option(
    "--rounds", default=100, show_default=True, type=click.IntRange(1), help="Turns of each."
)
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="File to write the figures to."
)
def main(run: Path, chunk_steps: int, rounds: int, path: Path | None) -> None:
    """Convert RUN in all ways and compare what came of it."""
    opened = Run.open(run)
    settings = opened.recipe.model
    if (settings.cell, settings.direction) != ("gru", "forward"):
        raise click.UsageError(f"{run}: only forward GRUs are compared")
    with tempfile.TemporaryDirectory() as name:
        made, failed = convert_all(opened, chunk_steps, Path(name))
        rows = measure(opened, made, chunk_steps, rounds)
    if path:
        path.write_text(json.dumps({"ways": rows, "failed": failed}, indent=1))
    click.echo(f"{heading(opened, f'{chunk_steps} steps a chunk')}\n\n{table(rows)}\n")
    for way, why in failed.items():
        click.echo(f"{way} ({WAYS[way].what}): {why}")
    tell_missed(missed(rows))


if __name__ == "__main__":
    main()
