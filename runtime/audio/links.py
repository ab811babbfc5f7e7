"""Files that hold several recordings one after the other, as `cat` joins them: Ogg and MP3 allow it, but libsndfile
reads the first alone. Here they are told apart, so that each can be opened by itself."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ds2edge.runtime.audio import mpeg

OGG_HEADER = 27  # bytes of a page before its table of segments
OGG_BEGINS = 2  # flag of the first page of a stream


@dataclass(frozen=True)
class Link:
    """Bytes `start` to `end` of a file, and `head` to be read before them: one recording."""

    start: int
    end: int
    head: bytes = b""


def links(path: Path) -> list[Link]:
    """The recordings in a file, in order. One of all bytes where the file is neither Ogg nor MP3."""
    size = path.stat().st_size
    if size < OGG_HEADER:
        return [Link(0, size)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            starts = [0, *list(_ogg(data))[1:]]
            found = [
                Link(start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)
            ]
        else:
            found = [Link(*streams) for streams in mpeg.streams(data)]
    return found or [Link(0, size)]


def _ogg(data: mmap.mmap) -> Iterator[int]:
    """Where a group of streams begins: at its first page that begins one."""
    place, beginning = 0, False
    while 0 <= place <= len(data) - OGG_HEADER:
        if data[place : place + 4] != b"OggS":
            place = data.find(b"OggS", place + 1)
            continue
        begins = bool(data[place + 5] & OGG_BEGINS)
        if begins and not beginning:
            yield place
        beginning = begins
        table = data[place + OGG_HEADER : place + OGG_HEADER + data[place + 26]]
        place += OGG_HEADER + len(table) + sum(table)


class LinkFile(io.RawIOBase):
    """One link as a file of its own."""

    def __init__(self, path: Path, link: Link) -> None:
        super().__init__()
        self._file, self._link, self._place = path.open("rb"), link, 0
        self._size = len(link.head) + link.end - link.start

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a place in the link."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """The place in the link."""
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer as far as there are bytes."""
        head, place = self._link.head, self._place
        if place < len(head):
            data = head[place : place + len(buffer)]
        else:
            start = min(self._link.start + place - len(head), self._link.end)
            self._file.seek(start)
            data = self._file.read(min(len(buffer), self._link.end - start))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
