"""Hours of audio through a listener, as fast as it goes: whether memory or computing time grows.

    python benchmarks/soak.py -m tests/golden/mini.tflite --hours 24 --plot docs/soak.png CLIP...

The clips are repeated in order, with pauses of 0.5 to 8 seconds. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from ds2edge.runtime import Listener, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.memory import resident_memory
from ds2edge.runtime.quiet import quiet_process

BLOCK_SECONDS = 0.1  # audio in one call
WARM_UP = 10  # minutes that do not count: caches fill, the allocator settles


def endless_audio(clips: list[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks of the clips in order, again and again, with pauses of quiet noise."""
    rng = np.random.default_rng(0)
    block = round(BLOCK_SECONDS * rate)
    pending = np.zeros(0, np.float32)
    number = 0
    while True:
        while len(pending) < block:
            pause = 3e-4 * rng.standard_normal(int(rng.uniform(0.5, 8) * rate))
            clip = clips[number % len(clips)]
            pending = np.concatenate([pending, clip, pause.astype(np.float32)])
            number += 1
        yield pending[:block]
        pending = pending[block:]


def soak(
    listener: Listener, clips: list[np.ndarray], rate: int, minutes: int
) -> dict[str, list[float]]:
    """Runs the listener. Returns figures for each minute of audio.

    They are megabytes of memory, seconds of processor time, and the number of utterances.
    """
    figures: dict[str, list[float]] = {"megabytes": [], "seconds": [], "finals": []}
    utterances = 0
    seconds = 0.0
    with click.progressbar(length=minutes, label="minutes of audio", file=sys.stderr) as bar:
        for block in endless_audio(clips, rate):
            started = time.process_time()
            utterances += len(listener.accept(block, rate))
            seconds += time.process_time() - started
            if listener.duration < 60 * (len(figures["seconds"]) + 1):
                continue
            figures["megabytes"].append(resident_memory() or 0.0)
            figures["seconds"].append(seconds)
            figures["finals"].append(utterances)
            utterances = 0
            seconds = 0.0
            bar.update(1)
            if len(figures["seconds"]) == minutes:
                break
    return figures


def summary(figures: dict[str, list[float]]) -> dict[str, float]:
    """The figures at the end against those at the beginning, after the warm-up."""
    megabytes = figures["megabytes"][WARM_UP:]
    seconds = figures["seconds"][WARM_UP:]
    quarter = len(seconds) // 4
    growth = float(np.median(seconds[-quarter:]) / np.median(seconds[:quarter]))
    return {
        "hours": len(figures["seconds"]) / 60,
        "finals": sum(figures["finals"]),
        "megabytes_at_first": round(megabytes[0], 2),
        "megabytes_at_last": round(megabytes[-1], 2),
        "seconds_per_minute": round(float(np.median(seconds)), 4),
        "time_ratio_last_to_first_quarter": round(growth, 3),
    }


def plot(figures: dict[str, list[float]], title: str, path: Path) -> None:
    """Draws memory and processor time over the hours of audio."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    hours = np.arange(1, len(figures["seconds"]) + 1) / 60
    chart, (memory, times) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5))
    memory.plot(hours, figures["megabytes"])
    memory.set(ylabel="resident memory, MB", ylim=(0, None), title=title)
    times.plot(hours, 1000 * np.array(figures["seconds"]), linewidth=0.6)
    label = "processor time,\nms per minute of audio"
    times.set(ylabel=label, xlabel="hours of audio", ylim=(0, None))
    chart.tight_layout()
    chart.savefig(path, dpi=100)


@click.command()
@model_option
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--hours",
    default=4.0,
    show_default=True,
    type=click.FloatRange(0.5),
    help="Hours of audio to run.",
)
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="Picture (PNG or SVG).")
def main(model: Path, clips: tuple[Path, ...], hours: float, picture: Path | None) -> None:
    """Run hours of audio through a listener and print what grew."""
    quiet_process()
    recognizer = Recognizer(model)
    rate = recognizer.specification.features.sample_rate
    recordings = [read_audio(clip, rate) for clip in clips]
    figures = soak(Listener(recognizer), recordings, rate, round(60 * hours))
    result = summary(figures)
    click.echo(json.dumps(result))
    if picture:
        title = f"{result['hours']:g} hours of audio, {result['finals']} utterances"
        plot(figures, title, picture)


if __name__ == "__main__":
    main()
