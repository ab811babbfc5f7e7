"""A part of a file that can be opened like a file of its own."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple


class ByteRange(NamedTuple):
    """Bytes `start` to `end` of a file, with the bytes `prefix` put in front of them."""

    start: int
    end: int
    prefix: bytes = b""


class RangeFile(io.RawIOBase):
    """A byte range of a file as a readable, seekable file."""

    def __init__(self, path: Path, byte_range: ByteRange) -> None:
        """Opens `path`. Raises OSError if that fails."""
        super().__init__()
        self._file = path.open("rb")
        self._range = byte_range
        self._size = len(byte_range.prefix) + byte_range.end - byte_range.start
        self._position = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position, counted from the start of the prefix."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Returns the position, counted from the start of the prefix."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer as far as there are bytes and returns how many it read."""
        prefix = self._range.prefix
        if self._position < len(prefix):
            data = prefix[self._position : self._position + len(buffer)]
        else:
            start = min(self._range.start + self._position - len(prefix), self._range.end)
            self._file.seek(start)
            data = self._file.read(min(len(buffer), self._range.end - start))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
