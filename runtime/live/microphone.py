"""Records from a microphone through PyAudio (PortAudio) and reopens it if it was unplugged."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.audio_queue import AudioQueue
from ds2edge.runtime.live.block import POLL_SECONDS, Block
from ds2edge.runtime.live.devices import Device, find_device, input_devices, load_pyaudio
from ds2edge.runtime.quiet import quiet

log = logging.getLogger("ds2edge")

QUEUE_SECONDS = 10.0  # of sound that may wait for the recognizer
CALLBACK_SECONDS = 0.05  # of sound in one callback
TIMEOUT = 3.0  # seconds without a callback after which a microphone counts as unplugged
REPORT_SECONDS = 10.0  # between two reports of dropped sound
FIRST_RETRY = 0.5  # seconds until the first attempt to reopen; doubled with each attempt
MAX_RETRY = 30.0  # seconds between two attempts, at most
USUAL_RATES = (8000, 16000, 22050, 32000, 44100, 48000, 96000)  # Hz
# PortAudio's numbers.
INPUT_OVERFLOW = 2
INVALID_RATE = -9997
INVALID_CHANNELS = -9998


class Microphone:
    """A microphone to be used in a `with` statement; `blocks` yields what it records.

    While it is open, what ALSA and JACK write to standard error is discarded.
    """

    def __init__(
        self,
        name: str | None = None,
        rate: int = 16000,
        wait: bool = False,
        queue_seconds: float = QUEUE_SECONDS,
    ) -> None:
        """Chooses a microphone without opening it.

        `name`: the name of the device or a unique part of it; None: the system's default.
        `rate`: preferred sample rate in Hz; blocks say which rate the device took. `wait`: wait
        for a device that is missing at the start, as `blocks` always does later. `queue_seconds`:
        how much sound may wait for the caller; of more, the oldest is dropped.
        """
        self._name = name
        self._rate = rate
        self._wait = wait
        self.device: Device | None = None  # the last one that was opened
        self.overflows = 0  # how often the system lost sound before it reached the kit
        self._queue = AudioQueue(queue_seconds)
        self._dropped_seconds = 0.0
        self._reported_seconds = 0.0
        self._next_report = 0.0
        self._audio: Any = None  # pyaudio.PyAudio
        self._stream: Any = None
        self._quiet = contextlib.ExitStack()

    def __enter__(self) -> Microphone:
        """Opens the device.

        Raises InputError if PyAudio is not installed, or if the device cannot be opened and
        `wait` is not set.
        """
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

    def __exit__(self, *exception: object) -> None:
        self._report_dropped(math.inf)
        self._close()
        self._quiet.close()

    def blocks(self, stop: Event | None = None, until: float = math.inf) -> Iterator[Block]:
        """Yields recorded blocks until `stop` is set or time.monotonic() reaches `until`.

        Logs a warning if sound is dropped or if the device is lost, and waits for its return.
        """
        stop = stop or Event()
        last_block = time.monotonic()
        while not stop.is_set() and time.monotonic() < until:
            if self._stream is None:
                if not self._reopen(stop):
                    return
                last_block = time.monotonic()
            if block := self._queue.get(POLL_SECONDS):
                last_block = time.monotonic()
                self._report_dropped(last_block)
                yield block
            elif not self._stream.is_active() or time.monotonic() - last_block > TIMEOUT:
                log.warning("the microphone is gone; trying to open it again")
                self._close()

    def supported_rates(self) -> list[int]:
        """Returns which of the usual sample rates the open device supports, in Hz."""
        return [rate for rate in USUAL_RATES if self._supports(rate)]

    def _supports(self, rate: int) -> bool:
        pyaudio = load_pyaudio()
        if self.device is None:
            return False
        try:
            return bool(
                self._audio.is_format_supported(
                    rate,
                    input_device=self.device.index,
                    input_channels=1,
                    input_format=pyaudio.paInt16,
                )
            )
        except (ValueError, OSError):  # PyAudio raises instead of returning False
            return False

    def _report_dropped(self, now: float) -> None:
        self._dropped_seconds += self._queue.take_dropped()
        if self._dropped_seconds > self._reported_seconds and now >= self._next_report:
            log.warning(
                "recognition is too slow: %.1f s of sound dropped so far", self._dropped_seconds
            )
            self._reported_seconds = self._dropped_seconds
            self._next_report = now + REPORT_SECONDS

    def _reopen(self, stop: Event) -> bool:
        """Tries to open the device until it succeeds or `stop` is set; returns whether it did."""
        delay = FIRST_RETRY
        while not stop.wait(delay):
            try:
                self._open()
                return True
            except InputError as error:
                delay = min(2 * delay, MAX_RETRY)
                log.warning("%s; next try in %.0f s", error, delay)
                self._close()
        return False

    def _open(self) -> None:
        """Opens the device at the first rate and number of channels that it takes."""
        self._audio = load_pyaudio().PyAudio()  # a new one lists the devices anew
        device = find_device(input_devices(self._audio), self._name)
        # Some devices convert neither the sample rate nor the number of channels.
        formats = [
            (self._rate, 1),
            (device.rate, 1),
            (self._rate, device.channels),
            (device.rate, device.channels),
        ]
        for rate, channels in dict.fromkeys(formats):
            try:
                self._stream = self._open_stream(device, rate, channels)
            except OSError as error:
                failure = error
                if error.errno not in (INVALID_RATE, INVALID_CHANNELS):
                    break
            else:
                self.device = device
                log.info("listening to %s at %d Hz", device.name, rate)
                return
        reason = failure.strerror or failure
        raise InputError(
            f"{device.name}: cannot be opened ({reason}): close other programs that record from it"
        )

    def _open_stream(self, device: Device, rate: int, channels: int) -> Any:
        pyaudio = load_pyaudio()

        def callback(data: bytes, count: int, times: object, status: int) -> tuple[None, int]:
            self.overflows += bool(status & INPUT_OVERFLOW)
            samples = np.frombuffer(data, np.int16).reshape(-1, channels)
            self._queue.put(Block(samples, rate, time.monotonic()))
            return None, pyaudio.paContinue

        return self._audio.open(
            rate,
            channels,
            pyaudio.paInt16,
            input=True,
            input_device_index=device.index,
            frames_per_buffer=int(CALLBACK_SECONDS * rate),
            stream_callback=callback,
        )

    def _close(self) -> None:
        # A device that is gone raises OSError when it is closed.
        with contextlib.suppress(OSError):
            if self._stream:
                self._stream.close()
        with contextlib.suppress(OSError):
            if self._audio:
                self._audio.terminate()
        self._stream = None
        self._audio = None
