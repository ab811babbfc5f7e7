"""Where live sound comes from, beside a microphone: raw samples on a file descriptor, a file played in real time."""

from __future__ import annotations

import logging
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

from ds2edge.runtime.audio import AudioFile
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


def raw_pcm(descriptor: int, rate: int, sample_format: str, channels: int, stop: Event) -> Iterator[Block]:
    """Interleaved samples without a header, until the end of the file or `stop`.

    How they arrive changes nothing; a last sample that is cut short is dropped. InputError for a WAV, whose header and
    format would be taken for sound.
    """
    kind = SAMPLE_FORMATS[sample_format]
    size = kind.itemsize * channels
    pending, checked, open_ = b"", False, True
    while open_ and not stop.is_set():
        # A pipe may be silent for long, and `stop` is set by a signal: a read that waits would not notice.
        if not select.select([descriptor], [], [], WAIT)[0]:
            continue
        data = os.read(descriptor, READ)
        pending, open_ = pending + data, bool(data)
        if len(pending) < 4 and not checked and open_:
            continue
        if not checked and pending.startswith(b"RIFF"):
            raise InputError("standard input holds a WAV, not raw samples: give arecord -t raw, or use --file")
        checked = True
        whole = len(pending) - len(pending) % size
        samples, pending = np.frombuffer(pending[:whole], kind), pending[whole:]
        if len(samples):
            yield Block(samples.reshape(-1, channels), rate, time.monotonic())
    if pending and not stop.is_set():
        log.warning("standard input ended in the middle of a sample: its %d bytes are dropped", len(pending))


def play(path: Path, stop: Event, seconds: float = 0.1) -> Iterator[Block]:
    """A sound file in blocks of `seconds`, each when its last sample would have been heard, until `stop`."""
    audio = AudioFile(path)
    started, heard = time.monotonic(), 0
    for samples in audio.blocks(seconds):
        heard += len(samples)
        due = started + heard / audio.rate
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        yield Block(samples, audio.rate, due)
