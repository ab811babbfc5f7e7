"""Finds the recordings in a file that holds several in a row, as `cat a.ogg b.ogg` makes it.

Ogg and MP3 allow this, and people do it with WAV, AIFF and FLAC too, but libsndfile reads the first
recording only.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from ds2edge.runtime.audio import mp3, ogg
from ds2edge.runtime.audio.byte_range import ByteRange

MIN_BYTES = 27  # of the smallest file that can hold two recordings
FLAC_START = b"fLaC\0\0\0\x22"  # the mark and the header of the first metadata block
# How a WAV or AIFF file starts: the mark, the byte order of its size, and what follows the size.
CHUNKED = {
    b"RIFF": ("<I", (b"WAVEfmt ", b"WAVEJUNK", b"WAVEbext", b"WAVELIST")),
    b"FORM": (">I", (b"AIFFCOMM", b"AIFCFVER")),
}


def split_recordings(path: Path) -> list[ByteRange]:
    """Returns the recordings in a file, in order: one range for most formats.

    Raises OSError if the file cannot be read.
    """
    size = path.stat().st_size
    whole = ByteRange(0, size)
    if size < MIN_BYTES:
        return [whole]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            return _between(ogg.starts(data), size)
        if data[:4] in CHUNKED:
            return _between(_chunked_starts(data), size)
        if data[:4] == FLAC_START[:4]:
            return _between(_flac_starts(data), size)
        return list(mp3.split_streams(data)) or [whole]


def _between(starts: Iterator[int], size: int) -> list[ByteRange]:
    """The ranges from each start to the next. The first starts with the file."""
    return [ByteRange(start, end) for start, end in pairwise([0, *list(starts)[1:], size])]


def _chunked_starts(data: mmap.mmap) -> Iterator[int]:
    """Yields where each WAV or AIFF file starts, as long as the sizes in their headers lead there.

    Recorders that write into a pipe know no size: then the next start is searched for.
    """
    mark = data[:4]
    order, followers = CHUNKED[mark]
    position = 0
    while position >= 0:
        yield position
        (size,) = struct.unpack(order, data[position + 4 : position + 8])
        end = position + 8 + size
        known = size > 0 and end <= len(data)
        # A chunk of an odd size is padded.
        candidates = (end, end + 1) if known else (data.find(mark, position + 4),)
        starts = (p for p in candidates if _is_chunked(data, p, mark, followers))
        position = next(starts, -1)


def _is_chunked(data: mmap.mmap, position: int, mark: bytes, followers: tuple[bytes, ...]) -> bool:
    return data[position : position + 4] == mark and data[position + 8 : position + 16] in followers


def _flac_starts(data: mmap.mmap) -> Iterator[int]:
    position = 0
    while position >= 0:
        yield position
        position = data.find(FLAC_START, position + 1)
