"""`ds2edge bench`: measures speed, latency and memory of a model on this machine."""

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
from ds2edge.runtime.commands.options import decoding_options, model_option, threads_option
from ds2edge.runtime.decoding.ctc import Decoder, DecoderFactory
from ds2edge.runtime.features import Samples
from ds2edge.runtime.memory import peak_memory
from ds2edge.runtime.network import Network

BLOCK_SECONDS = 0.02  # audio in one block of a microphone
NOISE_SECONDS = 10  # length of the noise that is repeated when there is no clip


@dataclass(frozen=True)
class PartTimes:
    """Time that one part of the recogniser takes."""

    milliseconds_per_second: float  # of audio
    p50: float  # median, milliseconds per chunk
    p95: float  # 95th percentile, milliseconds per chunk


@dataclass(frozen=True)
class Latency:
    """Seconds that a user waits, computing included: medians over the utterances of a clip."""

    first_partial: float  # from the start of the first word to the first text
    end_of_utterance: float  # from the end of the last word to the final text
    utterances: int


@dataclass(frozen=True)
class Bench:
    """Figures of one model on one machine."""

    machine: str
    interpreter: str
    threads: int
    load_seconds: float
    sound_seconds: float
    real_time_factor: float
    chunk_seconds: float  # audio in one chunk
    parts: dict[str, PartTimes]  # front end, network, decoder
    peak_memory: float | None  # megabytes of the whole process; None outside Linux
    latency: Latency | None  # None without a clip of speech


def run_bench(
    model: Path, clip: Path | None, seconds: float, threads: int, decoder: DecoderFactory
) -> Bench:
    """Runs the recogniser chunk by chunk on `seconds` of audio: the clip repeated, or noise.

    InputError if the model or the clip cannot be read, if the model is bidirectional, or if no
    word of the clip is recognised.
    """
    started = time.perf_counter()
    recognizer = Recognizer(model, decoder=decoder, threads=threads)
    load_seconds = time.perf_counter() - started
    specification = recognizer.specification
    specification.require_streaming(model)
    network = recognizer.network
    rate = specification.features.sample_rate
    samples = read_audio(clip, rate) if clip else _noise(rate)
    latency = _measure_latency(recognizer, samples, rate) if clip else None
    times = _time_parts(network, recognizer.decoder(), np.resize(samples, round(seconds * rate)))
    computing_seconds = sum(sum(part) for part in times.values()) / 1000
    return Bench(
        machine=machine(),
        interpreter=network.interpreter,
        threads=threads,
        load_seconds=round(load_seconds, 3),
        sound_seconds=seconds,
        real_time_factor=round(computing_seconds / seconds, 5),
        chunk_seconds=round(network.graph.chunk_steps * specification.step_seconds, 3),
        parts={name: _summarise(part, seconds) for name, part in times.items()},
        peak_memory=peak_memory(),
        latency=latency,
    )


def _noise(rate: int) -> Samples:
    rng = np.random.default_rng(0)
    return (0.05 * rng.standard_normal(NOISE_SECONDS * rate)).astype(np.float32)


def _time_parts(network: Network, decoder: Decoder, samples: Samples) -> dict[str, list[float]]:
    """Milliseconds that each chunk takes in each part."""
    features = network.specification.front_end()
    settings = network.specification.features
    states = network.initial_states()
    times: dict[str, list[float]] = {"front end": [], "network": [], "decoder": []}

    def timed(part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        times[part].append(1000 * (time.perf_counter() - started))
        return result

    # With the window full, each hop of samples gives one frame.
    features.accept(np.zeros(settings.window - settings.hop, np.float32))
    chunk = network.graph.chunk_frames * settings.hop
    for start in range(0, len(samples) - chunk + 1, chunk):
        frames = timed("front end", features.accept, samples[start : start + chunk])
        logits, states = timed("network", network.step, frames, states)
        timed("decoder", decoder.accept, logits)
    return times


def _summarise(milliseconds: list[float], seconds: float) -> PartTimes:
    p50, p95 = np.percentile(milliseconds, [50, 95]).round(3).tolist()
    return PartTimes(round(sum(milliseconds) / seconds, 3), p50, p95)


def _measure_latency(recognizer: Recognizer, samples: Samples, rate: int) -> Latency:
    """Plays the clip block by block and notes when text appears.

    The clock is the position in the audio plus the time to compute the current block.
    """
    rules = EndpointRules()
    pause: npt.NDArray[np.float32] = np.zeros(round((rules.silence + 2) * rate), np.float32)
    samples = np.concatenate([samples, pause])
    listener = Listener(recognizer, rules)
    block = round(BLOCK_SECONDS * rate)
    partial_at: float | None = None
    waits: list[tuple[float, float]] = []
    for start in range(0, len(samples), block):
        started = time.perf_counter()
        utterances = listener.accept(samples[start : start + block], rate)
        now = listener.duration + time.perf_counter() - started
        for utterance in utterances:
            # In long chunks the final text can come before any partial text.
            first_text = now if partial_at is None else partial_at
            waits.append((first_text - utterance.start, now - utterance.end))
            partial_at = None
        if listener.partial() and partial_at is None:
            partial_at = now
    if not waits:
        raise InputError("no word was recognised in the clip: give a clip with clear speech")
    first_partial, end_of_utterance = np.median(waits, axis=0).round(3).tolist()
    return Latency(first_partial, end_of_utterance, len(waits))


def machine() -> str:
    """The name of the board, or the processor of any other machine."""
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text().rstrip("\0")
    try:
        processors = Path("/proc/cpuinfo").read_text()
    except OSError:
        processors = ""
    name = re.search(r"^model name\s*: (.+)$", processors, re.MULTILINE)
    processor = name[1] if name else platform.processor() or "unknown processor"
    return f"{platform.machine()}, {processor}"


def table(bench: Bench) -> str:
    """The figures as text."""
    threads = f"{bench.threads} thread{'s' if bench.threads > 1 else ''}"
    lines = [
        f"{bench.machine}; {bench.interpreter}, {threads}",
        f"loaded in {bench.load_seconds:.3f} s; real-time factor {bench.real_time_factor:.4f} "
        f"({bench.sound_seconds:g} s of audio, chunks of {1000 * bench.chunk_seconds:g} ms)",
        "",
        f"{'part':<10} {'ms per s of audio':>18} {'p50 ms per chunk':>17} {'p95':>8}",
    ]
    for name, part in bench.parts.items():
        lines.append(
            f"{name:<10} {part.milliseconds_per_second:>18.3f} {part.p50:>17.3f} {part.p95:>8.3f}"
        )
    lines += ["", _latency_line(bench.latency)]
    if bench.peak_memory:
        lines.append(f"peak memory of the process: {bench.peak_memory:.0f} MB")
    return "\n".join(lines)


def _latency_line(latency: Latency | None) -> str:
    if latency is None:
        return "latency: not measured; give a clip of speech with --clip"
    return (
        f"first partial {latency.first_partial:.2f} s after the start of the first word, final "
        f"{latency.end_of_utterance:.2f} s after the end of the last word "
        f"({latency.utterances} utterance{'s' if latency.utterances > 1 else ''})"
    )


@click.command()
@model_option
@click.option(
    "--clip",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Sound file with speech, to measure the latency with.",
)
@click.option(
    "--seconds",
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    type=click.FloatRange(5, 3600),
    help="Length of the audio to transcribe, in seconds.",
)
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@decoding_options
def bench(
    model: Path,
    clip: Path | None,
    seconds: float,
    threads: int,
    as_json: bool,
    decoder: DecoderFactory,
) -> None:
    """Measure the speed, latency and memory of a model.

    The figures hold for the machine that runs the command. An emulator says nothing about a board.
    """
    result = run_bench(model, clip, seconds, threads, decoder)
    click.echo(json.dumps(asdict(result)) if as_json else table(result))
