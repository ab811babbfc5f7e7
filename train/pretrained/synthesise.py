"""Synthesises speech in bulk: synthesise.py OUT TEXTS... --hours 40

Needs `pip install hibari-tts scipy` (the voice is Apache-2.0). If flite is installed (`apt-get
install libflite1`; its voices are BSD), it says a share of the clips, as a second kind of voice.
One core makes about 45 hours of speech in an hour.

TEXTS are files with one sentence per line: OUT/texts.txt of speech.py, and sentences of a language
model's text. They must not contain dev or test sentences. Every sentence is said once, then again
by other voices, until the requested number of hours is reached.

OUT gets Ogg Opus files at 16 kHz and manifest.jsonl, with split train. Clip number n depends only
on the seed and n, and clips are kept in order: a stopped run continues as if it had not stopped.
With more --hours, clips are added.

For hibari, formants, pitch, pitch range, speed and breath are drawn for each clip. For flite, the
duration is drawn, and resampling changes vocal tract and pitch.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
from voices import RATE, has_flite, say_flite, say_hibari, trim

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import write_whole
from ds2edge.train.data.text import read_sentences
from ds2edge.train.progress import track

POSITIVE = click.FloatRange(min=0, min_open=True)
SHARE = click.FloatRange(0, 1)
BLOCK = 32  # clips for each process before all wait for each other


def make_clip(seed: int, share: float, task: tuple[int, str]) -> tuple[Any, bytes] | str:
    """Manifest line and Ogg Opus file of clip number `task[0]`; or why there is none."""
    number, text = task
    rng = random.Random(f"{seed}|{number}")
    by_flite = rng.random() < share
    try:
        samples, speaker = say_flite(text, rng) if by_flite else say_hibari(text, rng, number)
        peak = np.abs(samples).max()
        if not np.isfinite(peak) or peak < 1e-3:
            raise ValueError("no sound")
    except Exception as error:  # engines fail in many ways on odd words
        return f"clip {number}: {text!r} cannot be said ({error})"
    samples = trim(samples / peak * rng.uniform(0.2, 0.9))
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="OGG", subtype="OPUS")
    row = {"audio": f"audio/{number:07d}.opus", "text": text, "split": "train", "speaker": speaker}
    corpus = f"synthetic_{speaker.partition('-')[0]}"
    return row | {"duration": round(len(samples) / RATE, 3), "corpus": corpus}, file.getvalue()


def tasks(texts: list[str], seed: int, first: int) -> Iterator[tuple[int, str]]:
    """Yields number and sentence of clips, from number `first`, without end."""
    for turn in count(first // len(texts)):
        order = list(range(len(texts)))
        random.Random(f"{seed}|turn {turn}").shuffle(order)
        for place, index in enumerate(order):
            if (number := turn * len(texts) + place) >= first:
                yield number, texts[index]


def finished_clips(manifest: Path) -> tuple[int, float]:
    """Number of the next clip, and seconds so far. Removes an unfinished last line."""
    if not manifest.exists():
        return 0, 0.0
    whole, newline, torn = manifest.read_bytes().rpartition(b"\n")
    if torn:
        write_whole(manifest, whole + newline)
    rows = [json.loads(line) for line in whole.decode().split("\n") if line]
    next_number = int(Path(rows[-1]["audio"]).stem) + 1 if rows else 0
    return next_number, sum(row["duration"] for row in rows)


def say_all(out: Path, texts: list[str], seconds: float, seed: int, share: float) -> Iterator[None]:
    """Makes clips until there are so many seconds. Yields once for each second."""
    first, done = finished_clips(out / "manifest.jsonl")
    yield from (None for _ in range(int(done)))
    waiting = tasks(texts, seed, first)
    make = partial(make_clip, seed, share)
    # Spawned, so that numpy of the children obeys the thread limits that `main` sets.
    context = multiprocessing.get_context("spawn")
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with (
        context.Pool(initializer=signal.signal, initargs=ignore) as pool,
        (out / "manifest.jsonl").open("a", encoding="utf-8") as lines,
    ):
        blocks = (islice(waiting, BLOCK * (os.cpu_count() or 1)) for _ in count())
        for made in chain.from_iterable(pool.imap(make, block) for block in blocks):
            if done >= seconds:
                return
            if isinstance(made, str):
                click.echo(made, err=True)
                continue
            row, sound = made
            write_whole(out / row["audio"], sound)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            before = done
            done += row["duration"]
            yield from (None for _ in range(int(done) - int(before)))


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--hours", default=40.0, show_default=True, type=POSITIVE, help="Hours of speech.")
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
@click.option(
    "--flite-share",
    "share",
    default=0.15,
    show_default=True,
    type=SHARE,
    help="Share of clips that flite says.",
)
def main(out: Path, texts: tuple[Path, ...], hours: float, seed: int, share: float) -> None:
    """Say the sentences of TEXTS again and again until OUT holds enough hours of speech."""
    for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[key] = "1"  # there is a process for every core
    try:
        sentences = list(chain.from_iterable(read_sentences(path) for path in texts))
        if not sentences:
            raise InputError(f"{texts[0]}: holds no sentence")
        if share and not has_flite():
            click.echo("flite is not installed, so hibari says all clips", err=True)
            share = 0.0
        made = say_all(out, sentences, 3600 * hours, seed, share)
        (out / "audio").mkdir(parents=True, exist_ok=True)
        for _ in track(made, f"saying {hours:g} hours", int(3600 * hours)):
            pass
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    clips, seconds = finished_clips(out / "manifest.jsonl")
    click.echo(f"{out}: {seconds / 3600:.2f} h, the last clip is number {clips - 1}")


if __name__ == "__main__":
    main()
