"""Finds the recordings in an Ogg file, and whether its last page is whole (RFC 3533, section 6)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

HEADER = 27  # bytes of a page before its segment table
FIRST_PAGE = 2  # header flag of the first page of a stream


def starts(data: mmap.mmap) -> Iterator[int]:
    """Yields where each recording starts: at the first of its first pages, one per stream."""
    in_first_pages = False
    for position, _ in _pages(data):
        is_first_page = bool(data[position + 5] & FIRST_PAGE)
        if is_first_page and not in_first_pages:
            yield position
        in_first_pages = is_first_page


def is_cut(data: mmap.mmap) -> bool:
    """Whether the file ends in the middle of a page."""
    end = max((end for _, end in _pages(data)), default=0)
    return end > len(data) or data[end:].startswith(b"OggS")


def _pages(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yields start and end of each page."""
    position = 0
    while 0 <= position <= len(data) - HEADER:
        if data[position : position + 4] != b"OggS":
            position = data.find(b"OggS", position + 1)
            continue
        table_start = position + HEADER
        table_size = data[position + 26]
        end = table_start + table_size + sum(data[table_start : table_start + table_size])
        yield position, end
        position = end
