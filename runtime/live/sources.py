"""Where live sound comes from, beside a microphone: raw samples on a file descriptor, a file played in real time."""

from __future__ import annotations

import logging
import math
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.wav_header import read_header
from ds2edge.runtime.errors import InputError

log = logging.getLogger("ds2edge")

# Names as arecord's, all little-endian.
SAMPLE_FORMATS: dict[str, np.dtype[Any]] = {
    "S16_LE": np.dtype("<i2"),
    "S32_LE": np.dtype("<i4"),
    "FLOAT_LE": np.dtype("<f4"),
}
READ = 65536  # bytes at most in one read: what a pipe holds
WAIT = 0.2  # seconds between two looks at `stop`


@dataclass(frozen=True)
class Block:
    """A piece of live sound."""

    samples: npt.NDArray[np.generic]  # [n] or [n, channels], int16, int32 or float
    rate: int  # Hz
    captured: float  # time.monotonic() when its last sample was there

    def of_channel(self, channel: int) -> Block:
        """One channel alone, counted from 1. InputError if there are fewer."""
        channels = 1 if self.samples.ndim == 1 else self.samples.shape[1]
        if channel > channels:
            raise InputError(f"the sound has {channels} channels, so no channel {channel}")
        samples = self.samples if self.samples.ndim == 1 else self.samples[:, channel - 1]
        return Block(samples, self.rate, self.captured)


def raw_pcm(
    descriptor: int, rate: int, sample_format: str, channels: int, stop: Event
) -> Iterator[Block]:
    """Interleaved samples, until the end of the file or `stop`; what the header of a WAV says goes before `rate` etc.

    How they arrive changes nothing; a last sample that is cut short is dropped. InputError for a WAV whose samples are
    of another kind.
    """
    pending, left, header = b"", math.inf, False
    begun = False
    for data in _arriving(descriptor, stop):
        pending += data
        if not begun and (len(pending) >= 4 or not data):
            header, begun = pending.startswith(b"RIFF"), True
        if header:
            found = read_header(pending)
            if found is None:
                continue
            header, pending = False, pending[found.size :]
            rate, channels, sample_format = found.rate, found.channels, found.sample_format
            left = math.inf if found.sound is None else found.sound
        elif not begun:
            continue
        kind = SAMPLE_FORMATS[sample_format]
        usable = int(min(len(pending), left))
        whole = usable - usable % (kind.itemsize * channels)
        samples, pending = np.frombuffer(pending[:whole], kind), pending[whole:]
        left -= whole
        if len(samples):
            yield Block(samples.reshape(-1, channels), rate, time.monotonic())
        if left < kind.itemsize * channels:  # what follows the sound of a WAV is none
            return
    if pending and not stop.is_set():
        log.warning(
            "standard input ended in the middle of a sample: its %d bytes are dropped", len(pending)
        )


def _arriving(descriptor: int, stop: Event) -> Iterator[bytes]:
    """What comes through a pipe, and b"" at its end.

    It may be silent for long, and `stop` is set by a signal: a read that waits would not notice.
    """
    while not stop.is_set():
        if select.select([descriptor], [], [], WAIT)[0]:
            data = os.read(descriptor, READ)
            yield data
            if not data:
                return


def play(
    path: Path, stop: Event, seconds: float = 0.1, channel: int | None = None
) -> Iterator[Block]:
    """A sound file in blocks of `seconds`, each when its last sample would have been heard, until `stop`."""
    audio = AudioFile(path, channel)
    started, heard = time.monotonic(), 0
    for samples in audio.blocks(seconds):
        heard += len(samples)
        due = started + heard / audio.rate
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        yield Block(samples, audio.rate, due)
