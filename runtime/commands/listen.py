"""`ds2edge listen`: live sound to text, until it ends or is interrupted."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import click

from ds2edge.runtime.audio.level import LevelWatch
from ds2edge.runtime.commands.options import decoding_options, model_option
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.listener import Listener
from ds2edge.runtime.live.display import LiveLine
from ds2edge.runtime.live.microphone import Microphone, list_devices
from ds2edge.runtime.live.sources import SAMPLE_FORMATS, Block, play, raw_pcm
from ds2edge.runtime.live.transcript import JsonLines, Recordings, final_event
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.utterances import Utterance

log = logging.getLogger("ds2edge")

ABOVE_ZERO = click.FloatRange(min=0, min_open=True)
RULES = EndpointRules()


def _print_devices(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    for device in list_devices():
        default = " (default)" if device.default else ""
        click.echo(f"{device.name}: {device.channels} channels, {device.rate} Hz{default}")
    context.exit()


@click.command()
@model_option
@click.option(
    "--device",
    metavar="NAME",
    help="Microphone, by its name or part of it; by default the system's.",
)
@click.option(
    "--list-devices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_devices,
    help="Print the microphones and leave.",
)
@click.option(
    "--wait", is_flag=True, help="Wait for a microphone that is not there yet, as a service does."
)
@click.option(
    "--stdin",
    is_flag=True,
    help="Hear raw samples, or a WAV, on standard input instead of a microphone.",
)
@click.option(
    "--rate",
    default=16000,
    show_default=True,
    type=click.IntRange(4000, 384000),
    help="Hz, of --stdin.",
)
@click.option(
    "--channels",
    default=1,
    show_default=True,
    type=click.IntRange(1, 32),
    help="Of --stdin, interleaved.",
)
@click.option(
    "--format",
    "sample_format",
    default="S16_LE",
    show_default=True,
    type=click.Choice(list(SAMPLE_FORMATS)),
    help="Of --stdin, named as in arecord.",
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Play a sound file instead, in real time.",
)
@click.option(
    "--channel",
    type=click.IntRange(min=1),
    help="Hear this channel alone.  [default: all that have sound]",
)
@click.option(
    "--end-silence",
    default=RULES.silence,
    show_default=True,
    type=ABOVE_ZERO,
    help="Seconds without a letter, after words, that end an utterance.",
)
@click.option(
    "--end-length",
    default=RULES.length,
    show_default=True,
    type=click.FloatRange(1, 600),
    help="Seconds after which an utterance is ended between two words.",
)
@click.option(
    "--end-idle",
    default=RULES.idle,
    show_default=True,
    type=ABOVE_ZERO,
    help="Seconds without a letter, before any word, after which the utterance begins anew.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line: events `partial` and `final`."
)
@click.option(
    "--log",
    "log_path",
    type=click.Path(path_type=Path),
    help="Append every final to this file, as JSON.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Folder for every utterance as WAV, with a manifest.",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Threads of the interpreter.",
)
@decoding_options
def listen(
    model: Path,
    device: str | None,
    wait: bool,
    stdin: bool,
    rate: int,
    channels: int,
    sample_format: str,
    path: Path | None,
    channel: int | None,
    end_silence: float,
    end_length: float,
    end_idle: float,
    as_json: bool,
    log_path: Path | None,
    save: Path | None,
    threads: int,
    decoder: DecoderFactory,
) -> None:
    """Write down live what is said: partial text that settles into final lines.

    Ctrl-C, or the end of the input, ends it with the last words transcribed.
    """
    if (device is not None) + stdin + (path is not None) > 1:
        raise InputError(
            "--device, --stdin and --file are three sources of sound: give one of them"
        )
    try:
        rules = EndpointRules(idle=end_idle, silence=end_silence, length=end_length)
    except ValueError as error:
        raise InputError(str(error)) from None
    recognizer = Recognizer(model, decoder=decoder, threads=threads)
    listener = Listener(recognizer, rules)
    sample_rate = recognizer.specification.features.sample_rate
    with contextlib.ExitStack() as opened:
        transcript = (
            opened.enter_context(contextlib.closing(JsonLines(log_path))) if log_path else None
        )
        recordings = (
            opened.enter_context(contextlib.closing(Recordings(save, sample_rate)))
            if save
            else None
        )
        output = _Output(as_json, transcript, recordings)
        stop = opened.enter_context(_stopped_by_signals())
        blocks: Iterator[Block]
        if path is not None:
            blocks = play(path, stop, channel=channel)
        elif stdin:
            if sys.stdin is None or sys.stdin.closed:
                raise InputError(
                    "standard input is closed: pipe samples into it, or leave out --stdin"
                )
            blocks = raw_pcm(sys.stdin.fileno(), rate, sample_format, channels, stop)
        else:
            blocks = opened.enter_context(Microphone(device, sample_rate, wait)).blocks(stop)
        watch = LevelWatch()
        for heard in blocks:
            block = heard if channel is None or path is not None else heard.of_channel(channel)
            if remark := watch.remark(block.samples, block.rate):
                log.warning("%s", remark)
            finals = listener.accept(block.samples, block.rate)
            output.show(finals, listener, block)
        output.finish(listener)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """An event that Ctrl-C and a service manager's SIGTERM set; a second one interrupts at once."""
    stop = Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Output:
    """Where partials and finals go."""

    def __init__(
        self, as_json: bool, transcript: JsonLines | None, recordings: Recordings | None
    ) -> None:
        self._as_json, self._transcript, self._recordings = as_json, transcript, recordings
        self._line = LiveLine()
        self._partial = ""

    def show(self, finals: list[Utterance], listener: Listener, block: Block) -> None:
        """What a block of sound brought."""
        self._finals(finals, listener, block.captured)
        partial = listener.partial()
        if partial and partial != self._partial and self._as_json:
            _print_json({"event": "partial", "text": partial, "heard": round(listener.duration, 3)})
        self._partial = partial
        self._line.draw(block.samples, partial)

    def finish(self, listener: Listener) -> None:
        """The last words."""
        started = time.monotonic()
        self._line.clear()
        self._finals(listener.finish(), listener, started)

    def _finals(self, finals: list[Utterance], listener: Listener, captured: float) -> None:
        for utterance in finals:
            # Sound that had to pass until the end was clear, waiting in a queue, and computing.
            event = final_event(
                utterance, listener.duration - utterance.end + time.monotonic() - captured
            )
            self._line.clear()
            if self._as_json:
                _print_json(event)
            else:
                click.echo(utterance.text)
            self._keep(utterance, event)

    def _keep(self, utterance: Utterance, event: dict[str, Any]) -> None:
        try:
            if self._transcript:
                self._transcript.append(event)
            if self._recordings:
                self._recordings.add(utterance)
        except OSError as error:  # a full disk is no reason to stop listening
            log.warning(
                "%s: an utterance could not be kept: %r", error.strerror or error, utterance.text
            )


def _print_json(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False))
