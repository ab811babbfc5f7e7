"""Finds the recordings in a file that holds several in a row, as `cat a.ogg b.ogg` makes it.

Ogg and MP3 allow this, but libsndfile reads the first recording only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from ds2edge.runtime.audio import mp3
from ds2edge.runtime.audio.byte_range import ByteRange

OGG_HEADER = 27  # bytes of a page before its segment table
OGG_FIRST_PAGE = 2  # header flag of the first page of a stream (RFC 3533, section 6)


def split_recordings(path: Path) -> list[ByteRange]:
    """Returns the recordings in a file, in order: one range if it is neither Ogg nor MP3.

    Raises OSError if the file cannot be read.
    """
    size = path.stat().st_size
    whole = ByteRange(0, size)
    if size < OGG_HEADER:
        return [whole]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            starts = [0, *list(_ogg_starts(data))[1:], size]
            return [ByteRange(start, end) for start, end in pairwise(starts)]
        return list(mp3.split_streams(data)) or [whole]


def _ogg_starts(data: mmap.mmap) -> Iterator[int]:
    """Yields where each recording starts: at the first of its first pages, one per stream."""
    position = 0
    in_first_pages = False
    while 0 <= position <= len(data) - OGG_HEADER:
        if data[position : position + 4] != b"OggS":
            position = data.find(b"OggS", position + 1)
            continue
        is_first_page = bool(data[position + 5] & OGG_FIRST_PAGE)
        if is_first_page and not in_first_pages:
            yield position
        in_first_pages = is_first_page
        table_start = position + OGG_HEADER
        segment_sizes = data[table_start : table_start + data[position + 26]]
        position = table_start + len(segment_sizes) + sum(segment_sizes)
