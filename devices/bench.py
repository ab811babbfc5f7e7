"""`ds2edge bench`: what a model costs on this machine, part by part, and how soon it answers."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from ds2edge.runtime import EndpointRules, InputError, Listener, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.options import decoding_options, model_option
from ds2edge.runtime.decoding.ctc import DecoderFactory, WordDecoder
from ds2edge.runtime.features import Samples
from ds2edge.runtime.network import Network

BLOCK = 0.02  # seconds of sound at a time, as a microphone gives it


@dataclass(frozen=True)
class Part:
    """Time that one part of the recogniser takes."""

    milliseconds_per_second: float  # of sound
    p50: float  # milliseconds per chunk
    p95: float


@dataclass(frozen=True)
class Latency:
    """Seconds of waiting, computing included, on a clip of speech."""

    first_partial: float  # from the start of an utterance's first word to its first text: the median of the utterances
    end_of_utterance: float  # from the end of its last word to its final: likewise
    utterances: int


@dataclass(frozen=True)
class Bench:
    """Findings on one machine."""

    machine: str
    interpreter: str
    threads: int
    load_seconds: float
    sound_seconds: float
    real_time_factor: float
    chunk_seconds: float  # of sound in one chunk
    parts: dict[str, Part]  # front end, network, decoder
    peak_memory: float | None  # megabytes of the whole process; None where the system does not say
    latency: Latency | None  # None without a clip of speech


def measure(
    model: Path, clip: Path | None, seconds: float, threads: int, decoder: DecoderFactory
) -> Bench:
    """Runs the recogniser chunk by chunk on `seconds` of sound: the clip over and over, or noise.

    InputError if the model or the clip cannot be read, if the model is for whole clips, or if nothing is recognised.
    """
    started = time.perf_counter()
    recognizer = Recognizer(model, decoder=decoder, threads=threads)
    load = time.perf_counter() - started
    network, rate = recognizer.network, recognizer.specification.features.sample_rate
    recognizer.specification.require_streaming(model)
    rng = np.random.default_rng(0)
    sound = (
        read_audio(clip, rate)
        if clip
        else (0.05 * rng.standard_normal(10 * rate)).astype(np.float32)
    )
    latency = _latency(recognizer, sound, rate) if clip else None
    chunk = network.graph.chunk_steps * recognizer.specification.step_seconds
    times = _times(network, recognizer.decoder(), np.resize(sound, round(seconds * rate)))
    spent = {name: sum(part) / 1000 for name, part in times.items()}
    return Bench(
        machine=machine(),
        interpreter=network.interpreter,
        threads=threads,
        load_seconds=round(load, 3),
        sound_seconds=seconds,
        real_time_factor=round(sum(spent.values()) / seconds, 5),
        chunk_seconds=round(chunk, 3),
        parts={
            name: Part(
                round(1000 * spent[name] / seconds, 3),
                *np.percentile(part, [50, 95]).round(3).tolist(),
            )
            for name, part in times.items()
        },
        peak_memory=peak_memory(),
        latency=latency,
    )


def _times(network: Network, decoder: WordDecoder, sound: Samples) -> dict[str, list[float]]:
    """Milliseconds that each chunk of the sound takes in each part."""
    specification, graph = network.specification, network.graph
    features = specification.front_end()
    states = network.initial_states()
    chunk = graph.chunk_frames * specification.features.hop
    times: dict[str, list[float]] = {"front end": [], "network": [], "decoder": []}

    def timed(part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        times[part].append(1000 * (time.perf_counter() - started))
        return result

    features.accept(
        np.zeros(specification.features.window - specification.features.hop, np.float32)
    )  # fills the window
    for first in range(0, len(sound) - chunk + 1, chunk):
        frames = timed("front end", features.accept, sound[first : first + chunk])
        logits, states = timed("network", network.step, frames, states)
        timed("decoder", decoder.accept, logits)
    return times


def _latency(recognizer: Recognizer, sound: Samples, rate: int) -> Latency:
    """Plays the clip, a block at a time, and looks when text comes. Time is that of the sound, computing added."""
    rules = EndpointRules()
    pause: npt.NDArray[np.float32] = np.zeros(round((rules.silence + 2) * rate), np.float32)
    sound = np.concatenate([sound, pause])
    listener = Listener(recognizer, rules)
    size = round(BLOCK * rate)
    first_partials: list[float] = []
    answered: list[tuple[float, float]] = []
    for first in range(0, len(sound), size):
        started = time.perf_counter()
        finals = listener.accept(sound[first : first + size], rate)
        now = listener.duration + time.perf_counter() - started
        for utterance in finals:
            seen = (
                first_partials.pop() if first_partials else now
            )  # in long chunks the final may come at once
            answered.append((seen - utterance.start, now - utterance.end))
        if listener.partial() and not first_partials:
            first_partials.append(now)
    if not answered:
        raise InputError(
            "no word was recognised in the clip: give one of speech that the model knows"
        )
    partial, final = np.median(answered, axis=0).round(3).tolist()
    return Latency(partial, final, len(answered))


def machine() -> str:
    """What this is: a board by its own name, any other machine by its processor's."""
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text().rstrip("\0")
    names = re.findall(r"^model name\s*: (.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return f"{platform.machine()}, {names[0] if names else platform.processor() or 'unknown processor'}"


def peak_memory() -> float | None:
    """Most memory that this process has held, in megabytes; None where the system does not say."""
    # Not getrusage: its figure includes what the parent held when it forked.
    found = re.search(r"^VmHWM:\s+(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6, 1) if found else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def table(bench: Bench) -> str:
    """The findings as text."""
    lines = [
        f"{bench.machine}; {bench.interpreter}, {bench.threads} thread{'s' if bench.threads > 1 else ''}",
        f"loaded in {bench.load_seconds:.3f} s; real-time factor {bench.real_time_factor:.4f} "
        f"({bench.sound_seconds:g} s of sound, chunks of {1000 * bench.chunk_seconds:g} ms)",
        "",
        f"{'part':<10} {'ms per s of sound':>18} {'p50 ms per chunk':>17} {'p95':>8}",
    ]
    for name, part in bench.parts.items():
        lines.append(
            f"{name:<10} {part.milliseconds_per_second:>18.3f} {part.p50:>17.3f} {part.p95:>8.3f}"
        )
    lines.append("")
    if bench.latency:
        lines.append(
            f"first partial {bench.latency.first_partial:.2f} s after its first word begins, final "
            f"{bench.latency.end_of_utterance:.2f} s after its last word ends ({bench.latency.utterances} utterances)"
        )
    else:
        lines.append("latency: give a clip of speech (--clip) to have it measured")
    if bench.peak_memory:
        lines.append(f"peak memory {bench.peak_memory:.0f} MB, of the whole process")
    return "\n".join(lines)


@click.command()
@model_option
@click.option(
    "--clip", type=click.Path(path_type=Path), help="Speech that the model knows: for latency."
)
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(5, 3600),
    help="Of sound to time.",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Threads of the interpreter.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@decoding_options
def bench(
    model: Path,
    clip: Path | None,
    seconds: float,
    threads: int,
    as_json: bool,
    decoder: DecoderFactory,
) -> None:
    """Measure a model on this machine: load time, real-time factor, time per chunk and part, latency, memory.

    Figures of an emulator say nothing of the board that it plays.
    """
    result = measure(model, clip, seconds, threads, decoder)
    click.echo(json.dumps(asdict(result)) if as_json else table(result))
