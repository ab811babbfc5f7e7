"""`ds2edge listen`: transcribes live sound until it ends or is interrupted."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import click

from ds2edge.runtime.audio.level import LiveLevelMonitor
from ds2edge.runtime.audio.wav_header import WavFormat
from ds2edge.runtime.commands.listen_output import ListenOutput
from ds2edge.runtime.commands.option_group import option_group
from ds2edge.runtime.commands.options import (
    channel_option,
    decoding_options,
    endpoint_options,
    model_option,
    threads_option,
)
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.listener import Listener
from ds2edge.runtime.live.block import Block
from ds2edge.runtime.live.devices import NO_MICROPHONE, list_devices
from ds2edge.runtime.live.microphone import Microphone
from ds2edge.runtime.live.sources import SAMPLE_FORMATS, play_file, read_pipe
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.phrases.wake import WAKE_CONFIDENCE
from ds2edge.runtime.recognizer import Recognizer

log = logging.getLogger("ds2edge")


def _print_devices(context: click.Context, _: click.Parameter, requested: bool) -> None:
    if not requested:
        return
    devices = list_devices()
    if not devices:
        click.echo(NO_MICROPHONE, err=True)
    for device in devices:
        default = " (default)" if device.default else ""
        click.echo(f"{device.name}: {device.channels} channels, {device.rate} Hz{default}")
    context.exit()


@dataclass(frozen=True)
class SourceOptions:
    """Where the sound comes from."""

    device: str | None
    wait: bool
    stdin: bool
    rate: int
    channels: int
    sample_format: str
    file: Path | None
    channel: int | None

    def __post_init__(self) -> None:
        if (self.device is not None) + self.stdin + (self.file is not None) > 1:
            raise ValueError("--device, --stdin and --file exclude each other: give one of them")

    @contextlib.contextmanager
    def open(self, rate: int, stop: Event) -> Iterator[Iterator[Block]]:
        """Yields the blocks of the chosen source, until it ends or `stop` is set.

        `rate`: sample rate in Hz to ask a microphone for.
        """
        if self.file is not None:
            yield play_file(self.file, stop, channel=self.channel)
        elif self.stdin:
            yield self._select_channel(self._standard_input(stop))
        else:
            with Microphone(self.device, rate, self.wait) as microphone:
                yield self._select_channel(microphone.blocks(stop))

    def _standard_input(self, stop: Event) -> Iterator[Block]:
        if sys.stdin is None or sys.stdin.closed:
            raise InputError("standard input is closed: pipe sound into it or omit --stdin")
        pcm_format = WavFormat(self.rate, self.channels, self.sample_format)
        return read_pipe(sys.stdin.fileno(), pcm_format, stop)

    def _select_channel(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            yield block if self.channel is None else block.select_channel(self.channel)


source_options = option_group(
    "source",
    SourceOptions,
    click.option(
        "--device",
        metavar="NAME",
        help="Microphone to use: its name or a part of it. By default, that of the system.",
    ),
    click.option(
        "--list-devices",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_devices,
        help="List the microphones and exit.",
    ),
    click.option("--wait", is_flag=True, help="Wait for the microphone if it is missing."),
    click.option(
        "--stdin",
        is_flag=True,
        help="Read raw samples or a WAV from standard input instead of a microphone.",
    ),
    click.option(
        "--rate",
        default=16000,
        show_default=True,
        type=click.IntRange(4000, 384000),
        metavar="HZ",
        help="Sample rate of raw samples in Hz.",
    ),
    click.option(
        "--channels",
        default=1,
        show_default=True,
        type=click.IntRange(1, 32),
        metavar="N",
        help="Number of interleaved channels of raw samples.",
    ),
    click.option(
        "--format",
        "sample_format",
        default="S16_LE",
        show_default=True,
        type=click.Choice(list(SAMPLE_FORMATS)),
        help="Format of raw samples, named as in arecord.",
    ),
    click.option(
        "--file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Play a sound file in real time instead of using a microphone.",
    ),
    channel_option,
)


def _wake_phrases(wake: tuple[str, ...], wake_confidence: float | None) -> Phrases | None:
    if wake:
        least = WAKE_CONFIDENCE if wake_confidence is None else wake_confidence
        return Phrases.of(*wake, min_confidence=least)
    if wake_confidence is not None:
        raise InputError("--wake-confidence needs --wake: it rejects other speech")
    return None


wake_options = option_group(
    "wake",
    _wake_phrases,
    click.option(
        "--wake",
        multiple=True,
        metavar="PHRASE",
        help="Wait for this phrase, then transcribe one utterance. May be repeated.",
    ),
    click.option(
        "--wake-confidence",
        type=click.FloatRange(0, 1),
        metavar="P",
        help=f"Confidence that a wake phrase needs; {WAKE_CONFIDENCE} by default.",
    ),
)


@dataclass(frozen=True)
class OutputOptions:
    """What is printed and stored."""

    as_json: bool
    log: Path | None
    save: Path | None


output_options = option_group(
    "output",
    OutputOptions,
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object per line, for partial and final text.",
    ),
    click.option(
        "--log",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Append each utterance to this file as a JSON line.",
    ),
    click.option(
        "--save",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Save each utterance as a WAV in this folder, with a manifest to train on.",
    ),
)


@click.command()
@model_option
@source_options
@endpoint_options
@output_options
@threads_option
@decoding_options
@wake_options
def listen(
    model: Path,
    source: SourceOptions,
    rules: EndpointRules,
    output: OutputOptions,
    threads: int,
    decoder: DecoderFactory,
    wake: Phrases | None,
) -> None:
    """Transcribe live sound from a microphone, a pipe or a file.

    Partial text appears while you speak; each finished utterance becomes a line. Press Ctrl-C to
    stop: the last words are still transcribed.
    """
    recognizer = Recognizer(model, threads=threads, decoder=decoder)
    rate = recognizer.specification.features.sample_rate
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(ListenOutput(output.as_json, output.log, output.save, rate))
        listener = Listener(recognizer, rules, wake=wake, on_wake=results.show_wake)
        stop = stack.enter_context(_stop_on_signals())
        blocks = stack.enter_context(source.open(rate, stop))
        monitor = LiveLevelMonitor()
        for block in blocks:
            if warning := monitor.warning(block.samples, block.rate):
                log.warning("%s", warning)
            utterances = listener.accept(block.samples, block.rate)
            results.show(utterances, listener, block)
        results.finish(listener)


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[Event]:
    """Yields an event that Ctrl-C and SIGTERM set; a second signal interrupts at once."""
    stop = Event()

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
