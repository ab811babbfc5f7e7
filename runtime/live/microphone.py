"""A microphone, through PyAudio (PortAudio): found by name, opened at a rate that it takes, found again when lost."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.audio_queue import AudioQueue
from ds2edge.runtime.live.sources import WAIT, Block
from ds2edge.runtime.quiet import quiet

log = logging.getLogger("ds2edge")

CAPACITY = 10.0  # seconds of sound that may wait for the recogniser
BUFFER = 0.05  # seconds in one callback
SILENT = 3.0  # seconds without a callback after which a microphone counts as lost
REPORT = 10.0  # seconds between two reports of dropped sound
RETRY = (
    0.5,
    30.0,
)  # seconds before the first try to open it again, and at most; doubled from try to try
USUAL_RATES = (8000, 16000, 22050, 32000, 44100, 48000, 96000)  # Hz
OVERFLOW = 2  # flag of a callback before which sound was lost
INVALID_RATE, INVALID_CHANNELS = -9997, -9998  # PortAudio's error numbers


@dataclass(frozen=True)
class Device:
    """An input that PortAudio knows."""

    index: int  # of this moment: it changes as devices come and go
    name: str
    channels: int
    rate: int  # Hz, its own
    default: bool


class Microphone:
    """A context whose blocks are what is heard. In it, what ALSA and JACK write to standard error is thrown away."""

    def __init__(self, name: str | None = None, rate: int = 16000, wait: bool = False) -> None:
        """`name`: of the device, or a part that only one has; None: the system's default. `rate` wanted, in Hz.

        `wait`: a device that is not there at the start is waited for, as one that is lost later always is.
        """
        self._name, self._rate, self._wait = name, rate, wait
        self.heard_name, self._index = "", 0  # of the device that was opened
        self.overflows = 0  # times that sound was lost before it came here
        self._queue = AudioQueue(CAPACITY)
        self._dropped = self._reported = 0.0  # seconds, in all
        self._next_report = 0.0
        self._audio: Any = None  # pyaudio.PyAudio
        self._stream: Any = None
        self._quiet = contextlib.ExitStack()

    def __enter__(self) -> Microphone:
        """InputError if PyAudio is not installed, or the device cannot be opened and shall not be waited for."""
        load_pyaudio()
        self._quiet.enter_context(quiet())
        try:
            self._open()
        except InputError as error:
            self._close()
            if not self._wait:
                self._quiet.close()
                raise
            log.warning("%s; waiting for it", error)
        return self

    def __exit__(self, *raised: object) -> None:
        self._report_dropped(math.inf)
        self._close()
        self._quiet.close()

    def blocks(self, stop: Event | None = None, until: float = math.inf) -> Iterator[Block]:
        """What is heard, until `stop`, or until a time of time.monotonic().

        Sound that came too fast to be recognised, and a lost device, are reported.
        """
        stop = stop or Event()
        last = time.monotonic()
        while not stop.is_set() and time.monotonic() < until:
            if self._stream is None:
                if not self._reopen(stop):
                    return
                last = time.monotonic()
            if block := self._queue.get(WAIT):
                last = time.monotonic()
                self._report_dropped(last)
                yield block
            elif not self._stream.is_active() or time.monotonic() - last > SILENT:
                log.warning("the microphone is gone; trying to open it again")
                self._close()

    def _report_dropped(self, now: float) -> None:
        self._dropped += self._queue.take_dropped()
        if self._dropped > self._reported and now >= self._next_report:
            log.warning("the recogniser is too slow: %.1f s of sound dropped so far", self._dropped)
            self._reported, self._next_report = self._dropped, now + REPORT

    def _reopen(self, stop: Event) -> bool:
        delay, longest = RETRY
        while not stop.wait(delay):
            try:
                self._open()
            except InputError as error:
                delay = min(2 * delay, longest)
                log.warning("%s; next try in %.0f s", error, delay)
                self._close()
            else:
                return True
        return False

    def _open(self) -> None:
        pyaudio = load_pyaudio()
        self._audio = pyaudio.PyAudio()  # anew each time: it lists the devices only once
        device = choose(devices(self._audio), self._name)
        # As wanted; at the device's own rate; with all its channels: some refuse to convert.
        wishes = [
            (self._rate, 1),
            (device.rate, 1),
            (self._rate, device.channels),
            (device.rate, device.channels),
        ]
        for rate, channels in dict.fromkeys(wishes):
            try:
                self._stream = self._open_at(device, rate, channels)
            except OSError as error:
                reason = error
                if error.errno not in (INVALID_RATE, INVALID_CHANNELS):
                    break
            else:
                self.heard_name, self._index = device.name, device.index
                log.info("listening to %s at %d Hz", device.name, rate)
                return
        raise InputError(
            f"{device.name}: cannot be opened ({reason.strerror or reason}): is another program using it?"
        )

    def _open_at(self, device: Device, rate: int, channels: int) -> Any:
        pyaudio = load_pyaudio()

        def heard(data: bytes, count: int, times: object, status: int) -> tuple[None, int]:
            self.overflows += bool(status & OVERFLOW)
            samples = np.frombuffer(data, np.int16).reshape(-1, channels)
            self._queue.put(Block(samples, rate, time.monotonic()))
            return None, pyaudio.paContinue

        return self._audio.open(
            rate,
            channels,
            pyaudio.paInt16,
            input=True,
            input_device_index=device.index,
            frames_per_buffer=int(BUFFER * rate),
            stream_callback=heard,
        )

    def takes(self, rate: int) -> bool:
        """Whether the device that is open says that it takes a rate, in Hz."""
        pyaudio = load_pyaudio()
        try:
            return bool(
                self._audio.is_format_supported(
                    rate, input_device=self._index, input_channels=1, input_format=pyaudio.paInt16
                )
            )
        except (ValueError, OSError):  # how PyAudio says no
            return False

    def _close(self) -> None:
        for close in (self._stream and self._stream.close, self._audio and self._audio.terminate):
            if close:
                with contextlib.suppress(OSError):  # of a device that is gone
                    close()
        self._stream = self._audio = None


def rates_of(microphone: Microphone) -> list[int]:
    """The usual rates that an open microphone takes, in Hz."""
    return [rate for rate in USUAL_RATES if microphone.takes(rate)]


def load_pyaudio() -> Any:
    """The module. InputError if it is not installed."""
    try:
        import pyaudio
    except ImportError:
        raise InputError(
            "a microphone needs PyAudio: apt-get install python3-pyaudio, or pip install 'deepspeech2-edge[mic]'; "
            "without it: arecord -t raw -f S16_LE -r 16000 | ds2edge listen --stdin"
        ) from None
    return pyaudio


def devices(audio: Any) -> list[Device]:
    """The inputs that a pyaudio.PyAudio knows."""
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = None
    found = (audio.get_device_info_by_index(index) for index in range(audio.get_device_count()))
    return [
        Device(
            d["index"],
            d["name"],
            int(d["maxInputChannels"]),
            int(d["defaultSampleRate"]),
            d["index"] == default,
        )
        for d in found
        if d["maxInputChannels"] > 0
    ]


def list_devices() -> list[Device]:
    """The inputs of this machine. InputError if PyAudio is not installed."""
    with quiet():
        audio = load_pyaudio().PyAudio()
        try:
            return devices(audio)
        finally:
            audio.terminate()


def choose(inputs: list[Device], name: str | None) -> Device:
    """The default input, or the one of that name, or whose name alone holds it. InputError if there is none."""
    if name is None:
        chosen = [device for device in inputs if device.default] or inputs[:1]
    else:
        chosen = [device for device in inputs if device.name == name]
        chosen = chosen or [
            device for device in inputs if name.casefold() in device.name.casefold()
        ]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(repr(device.name) for device in chosen or inputs) or "none"
    if chosen:
        raise InputError(f"{name!r} is the name of several microphones: {known}")
    raise InputError(
        f"no microphone {name!r} (there are: {known})" if name else "no microphone found"
    )
