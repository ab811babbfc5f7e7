"""`ds2edge doctor`: whether this machine can listen and transcribe, and what to do where it cannot."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import click
import numpy as np

from ds2edge.runtime.audio.channels import Mixer
from ds2edge.runtime.audio.level import Level
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.microphone import Microphone, list_devices, rates_of
from ds2edge.runtime.recognizer import Recognizer

OK, NOTE, PROBLEM = "ok", "note", "problem"
TRIED = 5.0  # seconds of sound to time the model with
SLOW, TIGHT = (
    1.0,
    0.7,
)  # real-time factors: what hears slower than people speak, and what has no reserve
RATE = 16000  # Hz, where there is no model to say it
MIXER = "`alsamixer`, F6 for the card, F4 for capture"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what that means."""

    what: str
    state: str
    says: str


@click.command(short_help="Check that this machine can listen and transcribe.")
@model_option
@click.option(
    "--device",
    metavar="NAME",
    help="Microphone, by its name or part of it; by default the system's.",
)
@click.option(
    "--seconds",
    default=4.0,
    show_default=True,
    type=click.FloatRange(0.5, 60),
    help="How long to listen: speak meanwhile.",
)
@click.option("--no-microphone", is_flag=True, help="Look at everything else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(
    model: Path, device: str | None, seconds: float, no_microphone: bool, as_json: bool
) -> None:
    """Look at this machine: interpreter, model, speed, formats, microphone and its level; say what to do.

    Exit code 1 if there is a problem.
    """
    logging.getLogger("ds2edge").setLevel(logging.ERROR)  # what is worth saying becomes a finding
    worst = 0
    for finding in findings(model, device, None if no_microphone else seconds):
        click.echo(
            json.dumps(asdict(finding))
            if as_json
            else f"{finding.state:8} {finding.what:12} {finding.says}"
        )
        worst = max(worst, finding.state == PROBLEM)
    sys.exit(worst)


def findings(model: Path, device: str | None, seconds: float | None) -> Iterator[Finding]:
    """All findings, one after the other; `seconds` None: no microphone is looked at."""
    yield _python()
    try:
        yield Finding("interpreter", OK, find_interpreter()[1])
    except InputError as error:
        yield Finding("interpreter", PROBLEM, str(error))
    rate = RATE
    try:
        recognizer = Recognizer(model)
    except InputError as error:
        yield Finding("model", PROBLEM, str(error))
    else:
        rate = recognizer.specification.features.sample_rate
        yield from _model(recognizer)
    yield _formats()
    if find_spec("soxr") is None:
        yield Finding(
            "sample rates",
            PROBLEM,
            f"soxr is missing: only sound at {rate} Hz is heard: pip install soxr",
        )
    if seconds is not None:
        yield from _microphone(device, rate, seconds)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", OK, f"{version}, numpy {np.__version__}")


def _model(recognizer: Recognizer) -> Iterator[Finding]:
    specification = recognizer.specification
    yield Finding(
        "model", OK, f"{specification.name}, for sound at {specification.features.sample_rate} Hz"
    )
    try:
        specification.require_streaming(recognizer.network.path)
    except InputError as error:
        yield Finding("model", NOTE, str(error))
    if not specification.features.level_rise:
        yield Finding(
            "model",
            NOTE,
            "an older front end, which mishears quiet recordings: speak near, or retrain",
        )
    sound = (0.05 * np.random.default_rng(0).standard_normal(int(TRIED * RATE))).astype(np.float32)
    stream, started = recognizer.stream(), time.perf_counter()
    stream.accept(sound, RATE)
    stream.finish()
    factor = (time.perf_counter() - started) / TRIED
    says = f"{TRIED:g} s of sound in {factor * TRIED:.2f} s: real-time factor {factor:.3f}"
    if factor > SLOW:
        yield Finding(
            "speed", PROBLEM, f"{says}: too slow to listen live: take a smaller model, or int8"
        )
    elif factor > TIGHT:
        yield Finding("speed", NOTE, f"{says}: no reserve: other programs may cost words")
    else:
        yield Finding("speed", OK, says)


def _formats() -> Finding:
    if find_spec("av") is None:
        remedy = "m4a, mp4, webm, wma: pip install 'deepspeech2-edge[formats]'"
        return Finding("formats", NOTE, f"WAV, FLAC, Ogg, Opus and MP3; for {remedy}")
    return Finding("formats", OK, "WAV, FLAC, Ogg, Opus, MP3, and what FFmpeg reads")


def _microphone(name: str | None, rate: int, seconds: float) -> Iterator[Finding]:
    try:
        devices = list_devices()
    except InputError as error:
        yield Finding("microphone", PROBLEM, str(error))
        return
    if not devices:
        yield Finding(
            "microphone",
            PROBLEM,
            "none found: plug one in; `arecord -l` lists what the system sees; "
            "`ds2edge transcribe` does without",
        )
        return
    microphone = Microphone(name, rate)
    try:
        with microphone:
            click.echo(f"listening for {seconds:g} s: say something", err=True)
            level, given = _listen(microphone, seconds)
            rates = rates_of(microphone)
    except InputError as error:
        yield Finding("microphone", PROBLEM, str(error))
        return
    yield Finding(
        "microphone",
        OK,
        f"{microphone.heard_name}, at {given} Hz" if given else microphone.heard_name,
    )
    if rates:
        yield Finding("sample rates", OK, ", ".join(f"{taken}" for taken in rates) + " Hz")
    yield from _level(level, microphone.overflows)


def _listen(microphone: Microphone, seconds: float) -> tuple[Level | None, int]:
    """The level of what was heard, None if nothing was, and its rate."""
    level: Level | None = None
    mixer: Mixer | None = None
    rate, stop, until = 0, Event(), time.monotonic() + 2 * seconds + 1
    for block in microphone.blocks(stop, until):
        if level is None or mixer is None or rate != block.rate:
            rate = block.rate
            level, mixer = Level(rate), Mixer(rate)
        level.add(mixer.accept(block.samples))
        if level.samples >= seconds * rate:
            stop.set()
    return level, rate


def _level(level: Level | None, overflows: int) -> Iterator[Finding]:
    if level is None or not level.samples:
        yield Finding(
            "level",
            PROBLEM,
            "the microphone gives no sound: unplug it and plug it in, or take --device",
        )
        return
    remark, says = level.remark(), f"{level.loudest:.0f} dBFS in the loudest second"
    advice: tuple[tuple[str, str], ...] = (
        (
            "silent",
            f"digital silence: the microphone is muted, or another input is chosen: {MIXER}",
        ),
        (
            "quiet",
            f"{says}: if you spoke meanwhile, raise the capture level ({MIXER}), or come nearer",
        ),
        (
            "clipped",
            f"{100 * level.clipped_share:.1f} % of it is at full scale: lower the capture level ({MIXER})",
        ),
    )
    yield next(
        (Finding("level", PROBLEM, text) for word, text in advice if word in remark),
        Finding("level", OK, says),
    )
    if overflows:
        yield Finding(
            "overflow",
            PROBLEM,
            f"{overflows} times sound was lost before it could be read: close other "
            "programs, or take a USB port of its own",
        )
    else:
        yield Finding("overflow", OK, "no sound was lost")
