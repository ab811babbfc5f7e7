"""Reads and writes the events of the Wyoming protocol, within limits of size and time."""

from __future__ import annotations

import asyncio

import numpy as np
import numpy.typing as npt
from wyoming.audio import AudioChunk
from wyoming.event import Event, Eventable, async_read_event, async_write_event

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.limits import MESSAGE_BYTES, RATES

SAMPLE_TYPES = {2: "<i2", 4: "<i4"}  # by width in bytes
# What the package raises for JSON of another shape.
MALFORMED = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


class BoundedReader(asyncio.StreamReader):
    """Refuses to read what is longer than a message may be.

    An event states its own length, and the package would wait until all of it is in memory.
    """

    async def readexactly(self, n: int) -> bytes:
        """Reads `n` bytes. ValueError if a message may not be that long."""
        if n > MESSAGE_BYTES:
            raise ValueError(f"{n} bytes: {MESSAGE_BYTES} at most")
        return await super().readexactly(n)


class Events:
    """The events of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
    ) -> None:
        """`seconds`: how long to wait for the client, at each event."""
        self._reader = reader
        self._writer = writer
        self._seconds = seconds

    async def read(self) -> Event | None:
        """The next event; None when the client has gone.

        InputError for anything but an event, asyncio.TimeoutError if none arrives in time, OSError
        or asyncio.IncompleteReadError if the connection breaks.
        """
        try:
            event = await asyncio.wait_for(async_read_event(self._reader), self._seconds)
        except MALFORMED:
            raise InputError("what was sent is not a Wyoming event") from None
        if event is None and not self._reader.at_eof():
            raise InputError(
                f"what was sent is not a Wyoming event, or has more than {MESSAGE_BYTES} bytes"
            )
        return event

    async def write(self, event: Eventable) -> None:
        """Sends an event. asyncio.TimeoutError if the client does not read, OSError if it left."""
        await asyncio.wait_for(async_write_event(event.event(), self._writer), self._seconds)


def chunk_samples(event: Event) -> tuple[npt.NDArray[np.generic], int]:
    """The samples of an audio-chunk, [n, channels], and their rate in Hz. InputError if odd."""
    try:
        chunk = AudioChunk.from_event(event)
        samples = np.frombuffer(chunk.audio, SAMPLE_TYPES[chunk.width])
        channels = samples.reshape(-1, chunk.channels)
        known_rate = chunk.rate in RATES
    except MALFORMED:
        raise InputError(
            "an audio-chunk needs a rate, channels, a width of 2 or 4 bytes, and whole samples"
        ) from None
    if not known_rate:
        raise InputError(f"a rate of {chunk.rate} Hz: give {RATES[0]} to {RATES[-1]} Hz")
    return channels, int(chunk.rate)
