"""`ds2edge transcribe` and `ds2edge info`: thin users of the runtime."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from ds2edge.runtime.audio import AudioFile
from ds2edge.runtime.ctc import DecoderFactory
from ds2edge.runtime.decoding import decoding_options
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import PRETRAINED, model_option
from ds2edge.runtime.recognizer import Recognizer, Result
from ds2edge.runtime.specification import Specification, read_specification

SHOWN = 8  # pieces of an alphabet


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file: words with times and confidence.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="Threads of the interpreter.")
@decoding_options
def transcribe(audio: tuple[Path, ...], model: Path, as_json: bool, threads: int, decoder: DecoderFactory) -> None:
    """Write down what is said in sound files (any format, rate, number of channels and length).

    A file that cannot be read is named and passed over; the exit code is then 2.
    """
    recognizer = Recognizer(model, threads, decoder)
    heard = spent = 0.0
    failed = 0
    for path in audio:
        started = time.perf_counter()
        try:
            result = _transcribe_with_progress(recognizer, path)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            failed += 1
            continue
        seconds = time.perf_counter() - started
        heard, spent = heard + result.seconds, spent + seconds
        if as_json:
            facts = {"audio": str(path), **dataclasses.asdict(result)}
            facts["real_time_factor"] = round(seconds / result.seconds, 4)
            click.echo(json.dumps(facts, ensure_ascii=False))
        else:
            click.echo(f"{path}: {result.text}")
    if heard:
        click.echo(
            f"{heard:.1f} s of audio in {spent:.2f} s: real-time factor {spent / heard:.3f} "
            f"({recognizer.network.interpreter}, {threads} thread{'s' if threads > 1 else ''})",
            err=True,
        )
    if failed:
        sys.exit(2)


def _transcribe_with_progress(recognizer: Recognizer, path: Path) -> Result:
    audio = AudioFile(path)
    if not sys.stderr.isatty() or audio.seconds < 60:
        return recognizer.transcribe(audio)
    with click.progressbar(length=int(audio.seconds), label=path.name, file=sys.stderr) as bar:
        return recognizer.transcribe(audio, lambda seconds: bar.update(round(seconds)))


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
    kind = f"log-mel, {features.mel_bands} bands" if features.mel_bands else f"linear spectrogram, {features.bins} bins"
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
        future, answer = f"lookahead {graph.lookahead} steps", f"at most {latency:g} ms from a sound to its letter"
        if graph.layers:
            future, answer = f"bidirectional: {', '.join(graph.layers)}", "hears whole clips: no letter before the end"
        rows += [
            ("graph", f"{graph.mode}, {graph.chunk_steps} steps of {step:g} ms, {future}"),
            ("latency", f"{answer}, computing aside"),
            ("states", ", ".join(f"{s.name} {'x'.join(map(str, s.shape))}" for s in graph.states)),
        ]
        if graph.calibration_clips:
            rows.append(("calibration", f"{graph.calibration_clips} clips"))
    rows += [(key.replace("_", " "), _fact(value)) for key, value in specification.training.items() if value != ""]
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
