"""`ds2edge doctor`: checks whether this machine can listen and transcribe."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import click
import numpy as np

from ds2edge.runtime.audio.level import LevelMeter, LevelProblem
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.devices import NO_MICROPHONE, list_devices
from ds2edge.runtime.live.microphone import Microphone
from ds2edge.runtime.recognizer import Recognizer

OK = "ok"
NOTE = "note"
PROBLEM = "problem"
SPEED_TEST_SECONDS = 5.0  # of noise to recognise
MAX_FACTOR = 1.0  # real-time factor above which recognition falls behind speech
MAX_SAFE_FACTOR = 0.7  # real-time factor above which there is no reserve
DEFAULT_RATE = 16000  # Hz, if there is no model to ask
LEVEL_CONTROL = "`alsamixer`, F6 for the card, F4 for capture"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    state: str  # OK, NOTE or PROBLEM
    says: str


@click.command()
@model_option
@click.option(
    "--device",
    metavar="NAME",
    help="Microphone to check: its name or a part of it. By default, that of the system.",
)
@click.option(
    "--seconds",
    default=4.0,
    show_default=True,
    type=click.FloatRange(0.5, 60),
    metavar="SECONDS",
    help="How long to record; speak during this time.",
)
@click.option("--no-microphone", is_flag=True, help="Skip the microphone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def doctor(
    model: Path, device: str | None, seconds: float, no_microphone: bool, as_json: bool
) -> None:
    """Check this machine and say how to fix what is wrong.

    Checks the interpreter, the model and its speed, sound formats, and the microphone and its
    level. The exit code is 1 if there is a problem.
    """
    logging.getLogger("ds2edge").setLevel(logging.ERROR)  # the findings say it better
    exit_code = 0
    for finding in findings(model, device, None if no_microphone else seconds):
        line = f"{finding.state:8} {finding.what:12} {finding.says}"
        click.echo(json.dumps(asdict(finding)) if as_json else line)
        if finding.state == PROBLEM:
            exit_code = 1
    sys.exit(exit_code)


def findings(model: Path, device: str | None, seconds: float | None) -> Iterator[Finding]:
    """Yields all findings. `seconds`: how long to record; None skips the microphone."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", OK, f"{version}, numpy {np.__version__}")
    try:
        yield Finding("interpreter", OK, find_interpreter()[1])
    except InputError as error:
        yield Finding("interpreter", PROBLEM, str(error))
    rate = DEFAULT_RATE
    try:
        recognizer = Recognizer(model)
    except InputError as error:
        yield Finding("model", PROBLEM, str(error))
    else:
        rate = recognizer.specification.features.sample_rate
        yield from _check_model(recognizer)
        yield _check_speed(recognizer)
    yield _check_formats()
    if find_spec("soxr") is None:
        text = f"soxr is missing, so only sound at {rate} Hz can be used: pip install soxr"
        yield Finding("sample rates", PROBLEM, text)
    if seconds is not None:
        yield from _check_microphone(device, rate, seconds)


def _check_model(recognizer: Recognizer) -> Iterator[Finding]:
    specification = recognizer.specification
    rate = specification.features.sample_rate
    yield Finding("model", OK, f"{specification.name}, for sound at {rate} Hz")
    try:
        specification.require_streaming(recognizer.network.path)
    except InputError as error:
        yield Finding("model", NOTE, str(error))
    if not specification.features.level_rise:
        text = "its older front end mishears quiet recordings: speak close, or train it again"
        yield Finding("model", NOTE, text)


def _check_speed(recognizer: Recognizer) -> Finding:
    noise = np.random.default_rng(0).standard_normal(int(SPEED_TEST_SECONDS * DEFAULT_RATE))
    stream = recognizer.stream()
    started = time.perf_counter()
    stream.accept((0.05 * noise).astype(np.float32), DEFAULT_RATE)
    stream.finish()
    elapsed = time.perf_counter() - started
    factor = elapsed / SPEED_TEST_SECONDS
    text = f"{SPEED_TEST_SECONDS:g} s of sound in {elapsed:.2f} s: real-time factor {factor:.3f}"
    if factor > MAX_FACTOR:
        text += ": too slow for live sound: use a smaller model or int8"
        return Finding("speed", PROBLEM, text)
    if factor > MAX_SAFE_FACTOR:
        return Finding("speed", NOTE, f"{text}: no reserve: other programs may cause dropped sound")
    return Finding("speed", OK, text)


def _check_formats() -> Finding:
    if find_spec("av") is not None:
        return Finding("formats", OK, "WAV, FLAC, Ogg, Opus, MP3 and all formats of FFmpeg")
    remedy = "for m4a, mp4, webm and wma, run pip install '.[formats]' in the checkout of ds2edge"
    return Finding("formats", NOTE, f"WAV, FLAC, Ogg, Opus and MP3; {remedy}")


def _check_microphone(name: str | None, rate: int, seconds: float) -> Iterator[Finding]:
    try:
        if not list_devices():
            raise InputError(f"{NO_MICROPHONE}; `ds2edge transcribe` needs none")
        # A virtual microphone may have no clock and deliver all its sound at once: drop nothing.
        with Microphone(name, rate, queue_seconds=math.inf) as microphone:
            click.echo(f"recording for {seconds:g} s: say something", err=True)
            level, recorded_rate = _record(microphone, seconds)
            supported_rates = microphone.supported_rates()
    except InputError as error:
        yield Finding("microphone", PROBLEM, str(error))
        return
    device_name = microphone.device.name if microphone.device else ""
    rate_note = f", at {recorded_rate} Hz" if recorded_rate else ""
    yield Finding("microphone", OK, device_name + rate_note)
    if supported_rates:
        yield Finding("sample rates", OK, ", ".join(map(str, supported_rates)) + " Hz")
    yield _check_level(level)
    if level.samples:
        yield _check_overflows(microphone.overflows)


def _record(microphone: Microphone, seconds: float) -> tuple[LevelMeter, int]:
    """Records and returns the level, and the rate of the microphone in Hz; 0 without any sound."""
    stop = Event()
    deadline = time.monotonic() + 2 * seconds + 1
    rate = 0
    level = LevelMeter(DEFAULT_RATE)
    mixer = Resampler(DEFAULT_RATE)
    for block in microphone.blocks(stop, deadline):
        if block.rate != rate:
            rate = block.rate
            level = LevelMeter(rate)
            mixer = Resampler(rate)
        level.add(mixer.accept(block.samples, rate))
        if level.samples >= seconds * rate:
            stop.set()
    return level, rate


def _check_level(level: LevelMeter) -> Finding:
    if not level.samples:
        text = "the microphone gives no sound: unplug it and plug it in again, or choose --device"
        return Finding("level", PROBLEM, text)
    loudest = f"{level.loudest:.0f} dBFS in the loudest second"
    problem = level.problem()
    if problem is LevelProblem.SILENT:
        text = f"silence: the microphone is muted or another input is selected: {LEVEL_CONTROL}"
    elif problem is LevelProblem.QUIET:
        text = f"{loudest}: if you spoke, raise the capture level ({LEVEL_CONTROL}) or speak closer"
    elif problem is LevelProblem.CLIPPED:
        share = 100 * level.clipped_share
        text = f"{share:.1f} % is at full scale: lower the capture level ({LEVEL_CONTROL})"
    else:
        return Finding("level", OK, loudest)
    return Finding("level", PROBLEM, text)


def _check_overflows(overflows: int) -> Finding:
    if not overflows:
        return Finding("overflow", OK, "no sound was lost")
    return Finding(
        "overflow",
        PROBLEM,
        f"sound was lost {overflows} times before it could be read: close other programs, "
        "or use another USB port",
    )
