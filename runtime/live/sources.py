"""Live sound from other sources than a microphone: a pipe, or a file played in real time."""

from __future__ import annotations

import logging
import math
import os
import select
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.wav_header import WavFormat, WavHeader, parse_wav_header
from ds2edge.runtime.live.block import POLL_SECONDS, Block

log = logging.getLogger("ds2edge")

# Little-endian sample formats, named as arecord names them.
SAMPLE_FORMATS: dict[str, np.dtype[Any]] = {
    "S16_LE": np.dtype("<i2"),
    "S32_LE": np.dtype("<i4"),
    "FLOAT_LE": np.dtype("<f4"),
}
RIFF = b"RIFF"  # how a WAV starts
PIPE_BYTES = 65536  # capacity of a pipe on Linux


def read_pipe(descriptor: int, pcm_format: WavFormat, stop: Event) -> Iterator[Block]:
    """Yields the samples of a pipe until it ends or `stop` is set.

    The pipe gives raw interleaved samples in `pcm_format`, or a WAV, whose header then overrides
    `pcm_format`. Drops an incomplete last sample with a warning. Raises InputError for a WAV in
    another sample format.
    """
    chunks = _read_chunks(descriptor, stop)
    header, pending = _read_header(chunks)
    bytes_left = math.inf
    if header is not None:
        pcm_format = header.format
        bytes_left = math.inf if header.audio_bytes is None else header.audio_bytes
    dtype = SAMPLE_FORMATS[pcm_format.sample_format]
    frame_bytes = dtype.itemsize * pcm_format.channels  # of one sample of all channels
    for chunk in chain([b""], chunks):
        pending += chunk
        usable = int(min(len(pending), bytes_left))
        whole = usable - usable % frame_bytes
        if whole:
            samples = np.frombuffer(pending[:whole], dtype).reshape(-1, pcm_format.channels)
            yield Block(samples, pcm_format.rate, time.monotonic())
        pending = pending[whole:]
        bytes_left -= whole
        if bytes_left < frame_bytes:  # what follows the sound of a WAV is other data
            return
    if pending and not stop.is_set():
        log.warning(
            "standard input ended in the middle of a sample: %d bytes dropped", len(pending)
        )


def _read_header(chunks: Iterator[bytes]) -> tuple[WavHeader | None, bytes]:
    """Returns the header of a WAV, None for raw samples, and the bytes read after it."""
    data = b""
    while len(data) < len(RIFF) and (chunk := next(chunks, b"")):
        data += chunk
    if not data.startswith(RIFF):
        return None, data
    while (header := parse_wav_header(data)) is None:
        chunk = next(chunks, b"")
        if not chunk:
            log.warning("standard input ended within the header of a WAV")
            return None, b""
        data += chunk
    return header, data[header.size :]


def _read_chunks(descriptor: int, stop: Event) -> Iterator[bytes]:
    """Yields what arrives through a pipe until it ends or `stop` is set.

    Checks `stop` while it waits: a blocking read would not return when a signal sets it.
    """
    while not stop.is_set():
        if select.select([descriptor], [], [], POLL_SECONDS)[0]:
            data = os.read(descriptor, PIPE_BYTES)
            if not data:
                return
            yield data


def play_file(
    path: Path, stop: Event, seconds: float = 0.1, channel: int | None = None
) -> Iterator[Block]:
    """Yields a sound file in real time, in blocks of `seconds`, until it ends or `stop` is set.

    `channel`: play this channel only, counted from 1. Raises InputError as `AudioFile` does.
    """
    audio = AudioFile(path, channel)
    started = time.monotonic()
    played = 0  # samples
    for samples in audio.blocks(seconds):
        played += len(samples)
        due = started + played / audio.rate
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        yield Block(samples, audio.rate, due)
