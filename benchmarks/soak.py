"""Hours of sound through a listener, as fast as they go: does memory grow, does a minute take ever longer?

    python benchmarks/soak.py tests/golden/mini.tflite --hours 24 --plot docs/soak.png CLIP...

The clips are repeated in order, with pauses of 0.5 to 8 seconds. Prints one JSON object.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import click
import numpy as np

from ds2edge.runtime import Listener, Recognizer
from ds2edge.runtime.audio.reader import read_audio

BLOCK = 1600  # samples in one call: 100 ms
WARM = 10  # minutes that do not count: caches fill, the allocator settles


def resident_megabytes() -> float:
    """Memory that this process holds now."""
    return (
        int(
            re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1]
        )
        * 1024
        / 1e6
    )


def soak(
    listener: Listener, clips: list[np.ndarray], rate: int, minutes: int
) -> dict[str, list[float]]:
    """Runs the listener; one figure a minute of sound: megabytes, seconds of processor time, finals."""
    rng = np.random.default_rng(0)
    figures: dict[str, list[float]] = {"megabytes": [], "seconds": [], "finals": []}
    pending = np.zeros(0, np.float32)
    number = finals = 0
    spent = 0.0
    with click.progressbar(length=minutes, label="minutes of sound", file=sys.stderr) as bar:
        while len(figures["seconds"]) < minutes:
            while len(pending) < BLOCK:
                pause = 3e-4 * rng.standard_normal(int(rng.uniform(0.5, 8) * rate))
                pending = np.concatenate(
                    [pending, clips[number % len(clips)], pause.astype(np.float32)]
                )
                number += 1
            started = time.process_time()
            finals += len(listener.accept(pending[:BLOCK], rate))
            spent += time.process_time() - started
            pending = pending[BLOCK:]
            if listener.duration >= 60 * (len(figures["seconds"]) + 1):
                figures["megabytes"].append(resident_megabytes())
                figures["seconds"].append(spent)
                figures["finals"].append(finals)
                finals, spent = 0, 0.0
                bar.update(1)
    return figures


def summary(figures: dict[str, list[float]]) -> dict[str, float]:
    """What grew: the last quarter against the first, warm-up aside."""
    megabytes, seconds = (np.array(figures[name][WARM:]) for name in ("megabytes", "seconds"))
    quarter = len(seconds) // 4
    return {
        "hours": len(figures["seconds"]) / 60,
        "finals": sum(figures["finals"]),
        "megabytes_at_first": round(megabytes[0], 2),
        "megabytes_at_last": round(megabytes[-1], 2),
        "seconds_per_minute": round(float(np.median(seconds)), 4),
        "time_ratio_last_to_first_quarter": round(
            float(np.median(seconds[-quarter:]) / np.median(seconds[:quarter])), 3
        ),
    }


def plot(figures: dict[str, list[float]], title: str, path: Path) -> None:
    """Memory and time over the hours, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    hours = np.arange(1, len(figures["seconds"]) + 1) / 60
    chart, (memory, seconds) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5))
    memory.plot(hours, figures["megabytes"])
    memory.set(ylabel="resident, MB", ylim=(0, None), title=title)
    seconds.plot(hours, 1000 * np.array(figures["seconds"]), linewidth=0.6)
    seconds.set(
        ylabel="processor time,\nms per minute of sound", xlabel="hours of sound", ylim=(0, None)
    )
    chart.tight_layout()
    chart.savefig(path, dpi=100)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--hours", default=4.0, show_default=True, type=click.FloatRange(0.5))
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="PNG or SVG to draw.")
def main(model: Path, clips: tuple[Path, ...], hours: float, picture: Path | None) -> None:
    """Push hours of sound through a listener and print what grew."""
    recognizer = Recognizer(model)
    rate = recognizer.specification.features.sample_rate
    figures = soak(
        Listener(recognizer), [read_audio(clip, rate) for clip in clips], rate, round(60 * hours)
    )
    found = summary(figures)
    click.echo(json.dumps(found))
    if picture:
        plot(figures, f"{found['hours']:g} hours of sound, {found['finals']} utterances", picture)


if __name__ == "__main__":
    main()
