"""`ds2edge transcribe` and `ds2edge info`: thin users of the runtime."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.sound_files import sounds_in
from ds2edge.runtime.commands.options import decoding_options, model_option
from ds2edge.runtime.commands.output import Output
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import PRETRAINED
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification, read_specification
from ds2edge.runtime.stream import Result
from ds2edge.runtime.subtitles import srt, tsv, vtt

log = logging.getLogger("ds2edge")

FORMATS = ("text", "json", "srt", "vtt", "tsv")
SHOWN = 8  # pieces of an alphabet


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File for the result; a folder, where several files become subtitles.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="What is written: text, words with times and confidence, or subtitles.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="The same as --format json: one JSON object a file."
)
@click.option(
    "--channel",
    type=click.IntRange(min=1),
    help="Hear this channel alone.  [default: all that have sound]",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Threads of the interpreter.",
)
@decoding_options
def transcribe(
    audio: tuple[Path, ...],
    model: Path,
    output: Path | None,
    form: str,
    as_json: bool,
    channel: int | None,
    threads: int,
    decoder: DecoderFactory,
) -> None:
    """Write down what is said in sound files, in the sound files of folders, or in what comes through a pipe (`-`).

    Any format, sample rate, number of channels and length. A file that cannot be read is named and passed over; the
    exit code is then 2.
    """
    form = "json" if as_json else form
    files = _files(audio)
    several = len(files) > 1 or any(path.is_dir() for path in audio)
    apart = several and form in ("srt", "vtt")
    if apart and output is None:
        raise InputError(
            f"--format {form} of several files: give -o FOLDER, which gets one of each"
        )
    recognizer = Recognizer(model, decoder=decoder, threads=threads)
    heard, spent, failed = 0.0, 0.0, 0
    with Output(None if apart else output) as out:
        for path in files:
            started = time.perf_counter()
            try:
                result = _transcribe_with_progress(recognizer, path, channel)
            except InputError as error:
                click.echo(f"error: {error}", err=True)
                failed += 1
                continue
            seconds = time.perf_counter() - started
            heard, spent = heard + result.duration, spent + seconds
            if apart and output is not None:
                with Output(_beside(output, path, form)) as own:
                    own.line(_written(form, path, result, seconds, several))
            else:
                out.line(_written(form, path, result, seconds, several))
    if heard:
        click.echo(
            f"{heard:.1f} s of audio in {spent:.2f} s: real-time factor {spent / heard:.3f} "
            f"({recognizer.network.interpreter}, {threads} thread{'s' if threads > 1 else ''})",
            err=True,
        )
    if failed:
        if len(files) > 1:
            click.echo(f"error: {failed} of {len(files)} files could not be read", err=True)
        sys.exit(2)


def _files(given: Sequence[Path]) -> list[Path]:
    return [path for item in given for path in (sounds_in(item) if item.is_dir() else [item])]


def _beside(folder: Path, path: Path, form: str) -> Path:
    """Where the subtitles of a file go: two of the same name do not share one."""
    wanted, number = folder / f"{path.stem}.{form}", 1
    while wanted.exists():
        number += 1
        wanted = folder / f"{path.stem}-{number}.{form}"
    return wanted


def _written(form: str, path: Path, result: Result, seconds: float, several: bool) -> str:
    if form == "json":
        facts = {
            "audio": str(path),
            "text": result.text,
            "words": [dataclasses.asdict(word) for word in result.words],
            "seconds": result.duration,
            "real_time_factor": round(seconds / result.duration, 4) if result.duration else None,
        }
        return json.dumps(facts, ensure_ascii=False)
    if form == "srt":
        return srt(result.words)
    if form == "vtt":
        return vtt(result.words)
    if form == "tsv":
        return tsv(result.words, str(path))
    return f"{path}: {result.text}" if several else result.text


def _transcribe_with_progress(recognizer: Recognizer, path: Path, channel: int | None) -> Result:
    audio = AudioFile(path, channel)
    if not sys.stderr.isatty() or not 60 <= audio.promised < float("inf"):
        result = recognizer.transcribe(audio)
    else:
        with click.progressbar(length=int(audio.promised), label=path.name, file=sys.stderr) as bar:
            result = recognizer.transcribe(
                audio, progress=lambda seconds: bar.update(round(seconds))
            )
    if remark := audio.level.remark():
        log.warning("%s: %s", path, remark)
    return result


@click.command()
@click.argument("model", default=PRETRAINED, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The whole specification as JSON.")
def info(model: Path, as_json: bool) -> None:
    """Print what is inside a .tflite file: its model card and what the runtime knows of it.

    Without MODEL: of the one that comes with ds2edge.
    """
    specification = read_specification(model)
    if as_json:
        click.echo(specification.to_json())
        return
    for label, value in _card(specification, model):
        click.echo(f"{label:<15} {value}")


def _card(specification: Specification, path: Path) -> list[tuple[str, str]]:
    features, graph = specification.features, specification.graph
    kind = (
        f"log-mel, {features.mel_bands} bands"
        if features.mel_bands
        else f"linear spectrogram, {features.bins} bins"
    )
    milliseconds = 1000 / features.sample_rate
    window, hop = features.window * milliseconds, features.hop * milliseconds
    rows = [
        ("model", f"{specification.name}, {path.stat().st_size / 1e6:.2f} MB"),
        ("alphabet", _alphabet(specification.alphabet[1:])),
        ("features", f"{kind}, {window:g} ms window, {hop:g} ms hop, {features.sample_rate} Hz"),
    ]
    if graph is not None:
        step = 1000 * specification.step_seconds
        latency = (graph.chunk_steps + graph.lookahead) * step + window - hop
        future, answer = (
            f"lookahead {graph.lookahead} steps",
            f"at most {latency:g} ms from a sound to its letter",
        )
        if graph.layers:
            future, answer = (
                f"bidirectional: {', '.join(graph.layers)}",
                "hears whole clips: no letter before the end",
            )
        rows += [
            ("graph", f"{graph.mode}, {graph.chunk_steps} steps of {step:g} ms, {future}"),
            ("latency", f"{answer}, computing aside"),
            ("states", ", ".join(f"{s.name} {'x'.join(map(str, s.shape))}" for s in graph.states)),
        ]
        if graph.calibration_clips:
            rows.append(("calibration", f"{graph.calibration_clips} clips"))
    rows += [
        (key.replace("_", " "), _fact(value))
        for key, value in specification.training.items()
        if value != ""
    ]
    try:
        rows.append(("interpreter", f"{find_interpreter()[1]} (on this machine)"))
    except InputError as error:
        rows.append(("interpreter", str(error)))
    return rows


def _alphabet(symbols: Sequence[str]) -> str:
    shown = [symbol.replace(" ", "␣") for symbol in symbols]
    if max(map(len, shown), default=1) == 1:
        return f"{''.join(shown)} and blank ({len(shown) + 1})"
    return f"{len(shown)} letters and pieces of words, {' '.join(shown[:SHOWN])} ..., and blank"


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {inner}" for key, inner in value.items())
    return str(value)
