"""Converts one network in the usual ways and with the kit, and compares speed, size and accuracy.

    pip install tf_keras                       # for the fused LSTM
    python benchmarks/random_run.py RUN --recipe edge      # or a trained run of forward GRUs
    python benchmarks/conversions.py RUN

The usual ways (stock_models.py) run in LiteRT's default `Interpreter`. The kit's files run in the
kit's engine (`Network`), and in the default interpreter too, which separates the gain of the graph
from the gain of the engine. All models run the same speech, and their logits are compared with
those of the Keras model. Then all run one chunk in turn, on one thread. Times are milliseconds of
processor time. A conversion that fails or crashes is reported. The exit code is 1 if a target is
missed.
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
import tensorflow as tf
from engines import ENGINES, silent_step
from stock_models import CORPUS, WAYS, speech
from timing import heading, in_turns, median, print_missed, ratio, table

from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.run import Run

KIT = ("int8", "dynamic", "float32")
BEST = "kit int8"
MIN_SPEEDUP = 4.0  # target: the kit's int8 is so many times as fast as any float32
CLIPS = 20  # to calibrate the kit's int8 on

Chunks = list[np.ndarray]  # each [1, chunk_frames, bins]


def convert_all(run: Run, chunk_steps: int, folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Files by way, and the reason of failure for each way that failed."""
    files = {}
    failed = {}
    for mode in KIT:
        click.echo(f"converting: kit {mode}", err=True)
        path = folder / f"kit {mode}.tflite"
        convert_run(run.folder, mode, read_manifest(CORPUS, "train")[:CLIPS], path, chunk_steps)
        files[f"kit {mode}"] = path
    for way in WAYS:
        click.echo(f"converting: {way}", err=True)
        path = folder / f"{way}.tflite"
        reason = convert_in_usual_way(run, way, path, chunk_steps)
        if reason:
            failed[way] = reason
        else:
            files[way] = path
    return files, failed


def convert_in_usual_way(run: Run, way: str, path: Path, chunk_steps: int) -> str:
    """Runs stock_models.py. Returns the reason if it fails, otherwise ""."""
    script = Path(__file__).with_name("stock_models.py")
    command = [sys.executable, script, run.folder, way, "-o", path]
    command += ["--chunk-steps", str(chunk_steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"the converter crashed: {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]


def stream(network: Any, chunks: Chunks) -> np.ndarray:
    """Logits of a stream from its beginning, [steps, symbols]."""
    states = network.initial_states()
    logits = []
    for frames in chunks:
        output, states = network.step(frames[0], states)
        logits.append(np.array(output))
    return np.concatenate(logits)


def keras_stream(model: DeepSpeech2, chunks: Chunks) -> np.ndarray:
    """The same for the Keras model."""
    step = tf.function(model.step)
    states = {name: tf.zeros(shape) for name, shape in model.state_shapes().items()}
    logits = []
    for frames in chunks:
        output, states = step(tf.constant(frames), states)
        logits.append(output[0].numpy())
    return np.concatenate(logits)


def signal_to_noise(logits: np.ndarray, reference: np.ndarray) -> float:
    """Variance of the reference over the squared error, in dB."""
    noise = max(1e-30, np.mean((logits - reference) ** 2))
    return round(float(10 * np.log10(reference.var() / noise)), 1)


def measure(
    run: Run, files: dict[str, Path], chunk_steps: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each way and engine, the fastest first."""
    engines = {way: "kit" if way.startswith("kit") else "default" for way in files}
    networks = {way: ENGINES[engine](files[way]) for way, engine in engines.items()}
    for way in list(files):
        if way.startswith("kit"):
            networks[f"{way}, default Interpreter"] = ENGINES["default"](files[way])
    chunks = list(speech(run, chunk_steps * run.recipe.model.time_stride, "test"))
    reference = keras_stream(run.best_model(), chunks)
    logits = {way: stream(network, chunks) for way, network in networks.items()}
    times = in_turns({way: silent_step(network) for way, network in networks.items()}, rounds)
    rows = []
    for way in networks:
        path = files[way.removesuffix(", default Interpreter")]
        inspection = inspect_model(path)
        # A fused LSTM is another network: its logits cannot be compared.
        fused = way in WAYS and WAYS[way].fused
        row = {
            "way": way,
            "what": describe(way),
            "ms per chunk": median(times[way]),
            "to kit int8": ratio(times[way], times[BEST]),
            "file, MB": round(path.stat().st_size / 1e6, 2),
            "operations": sum(inspection.operations.values()),
            "partitions": inspection.partitions,
            "float inside": "yes" if inspection.float_tensors else "no",
            "SNR, dB": None if fused else signal_to_noise(logits[way], reference),
        }
        rows.append(row)
    return sorted(rows, key=lambda row: row["to kit int8"])


def describe(way: str) -> str:
    """What the graph is made of."""
    if way in WAYS:
        return WAYS[way].what
    return "unrolled, the kit's own ranges" if "int8" in way else "unrolled"


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each missed target. The float32 target leaves out the LSTM, another network."""
    lines = []
    for row in rows:
        name = row["way"]
        times = row["to kit int8"]
        if not name.startswith("kit int8") and times <= 1:
            lines.append(f"{name} takes {times} of the time of kit int8, which should be fastest")
        elif row["SNR, dB"] is not None and "float32" in name and times < MIN_SPEEDUP:
            lines.append(
                f"kit int8 is {times} times as fast as {name}, "
                f"below {MIN_SPEEDUP:g} by {MIN_SPEEDUP - times:.2f}"
            )
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
    "--rounds", default=100, show_default=True, type=click.IntRange(1), help="Rounds of timing."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output file (JSON).")
def main(run: Path, chunk_steps: int, rounds: int, output: Path | None) -> None:
    """Convert RUN in every way and compare the results."""
    quiet_process()
    opened = Run.open(run)
    settings = opened.recipe.model
    if (settings.layer_kind, settings.direction) != ("gru", "forward"):
        raise click.UsageError(f"{run}: only forward GRUs are compared")
    with tempfile.TemporaryDirectory() as folder:
        files, failed = convert_all(opened, chunk_steps, Path(folder))
        rows = measure(opened, files, chunk_steps, rounds)
    if output:
        output.write_text(json.dumps({"ways": rows, "failed": failed}, indent=1))
    click.echo(f"{heading(opened, f'{chunk_steps} steps per chunk')}\n\n{table(rows)}\n")
    for way, reason in failed.items():
        click.echo(f"{way} ({WAYS[way].what}): {reason}")
    print_missed(missed(rows))


if __name__ == "__main__":
    main()
