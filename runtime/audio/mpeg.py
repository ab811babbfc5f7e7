"""The frames of an MP3, counted. libsndfile takes the length from a first frame that may say it (Xing's, LAME's
`Info`), else guesses it from the bytes; both are wrong for much that people have, and it stops reading there."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

# Kilobits a second of layer III, by the index in a frame's header; and Hz, by version and index.
MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
ID3_HEADER, ID3_OLD = 10, 128  # bytes
IN_A_ROW = 3  # frames, before bytes count as MP3
ROOMY = 8  # index of a rate whose frames have room for a count

Stream = tuple[int, int, bytes]  # first and last byte, and the frame to be read before them


@dataclass
class _Open:
    """A stream of which the end is still to come."""

    start: int  # of its first frame, be it a count or sound
    sound: int = 0  # of its first frame of sound
    frames: int = 0  # of sound
    counted: int = 0  # as its first frame says

    def closed(self, data: mmap.mmap, end: int) -> Stream:
        """With a count of the kit's own where there is none, or one that is too small."""
        if self.counted >= self.frames:
            return self.start, end, b""
        return self.sound, end, _count_frame(data[self.sound : self.sound + 4], self.frames)


def streams(data: mmap.mmap) -> Iterator[Stream]:
    """The MP3 streams in a file. A new one begins behind an ID3 tag, and at a frame that counts those after it."""
    place = _tags(data, 0)
    if not _frames(data, place):
        place = _next(data, place) if place or data[:1] == b"\0" else len(data)
    current: _Open | None = None
    while place < len(data):
        size = _frame(data, place)
        if not size:
            behind = (
                _tags(data, place)
                if data[place : place + 3] in (b"ID3", b"TAG")
                else _next(data, place + 1)
            )
            if current and current.frames and data[place : place + 3] == b"ID3":
                yield current.closed(data, place)
                current = None
            place = max(behind, place + 1)
            continue
        count = _count(data, place, size)
        if current and current.frames and count is not None:
            yield current.closed(data, place)
            current = None
        current = current or _Open(place)
        if count is not None:
            current.counted = count
        else:
            current.sound = current.sound or place
            current.frames += 1
        place += size
    if current and current.frames:
        yield current.closed(data, len(data))


def _frame(data: mmap.mmap, place: int) -> int:
    """Bytes of the frame that begins there; 0 if none does."""
    return _size(data[place : place + 4])


def _size(header: bytes) -> int:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, index, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or index in (0, 15) or rate == 3:
        return 0
    kilobits, factor = (MPEG1[index], 144) if version == 3 else (MPEG2[index], 72)
    return factor * kilobits * 1000 // RATES[version][rate] + (header[2] >> 1 & 1)


def _frames(data: mmap.mmap, place: int) -> bool:
    """Whether frames follow one another there, to the end if that is near."""
    for _ in range(IN_A_ROW):
        size = _frame(data, place)
        if not size:
            return False
        place += size
        if place >= len(data):
            return True
    return True


def _next(data: mmap.mmap, place: int) -> int:
    """The next place where frames or a tag follow, behind bytes that are neither; the end if there is none."""
    while place < len(data):
        sound, tag = (data.find(mark, place) for mark in (b"\xff", b"ID3"))
        if tag >= 0 and (sound < 0 or tag < sound):
            return tag
        if sound < 0:
            break
        if _frames(data, sound):
            return sound
        place = sound + 1
    return len(data)


def _tags(data: mmap.mmap, place: int) -> int:
    """The place behind the ID3 tags that begin there."""
    while True:
        head = data[place : place + ID3_HEADER]
        if head[:3] == b"TAG":
            place += ID3_OLD
        elif head[:3] == b"ID3" and len(head) == ID3_HEADER and max(head[6:]) < 128:
            place += ID3_HEADER + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        else:
            return place


def _side(header: bytes) -> int:
    """Bytes between a frame's header and its sound."""
    mono = header[3] >> 6 == 3
    return (17 if mono else 32) if header[1] >> 3 & 3 == 3 else (9 if mono else 17)


def _count(data: mmap.mmap, place: int, size: int) -> int | None:
    """The number of frames that a frame says will follow; None if it says none, but is sound."""
    frame = data[place : place + min(size, 64)]
    mark = frame[4 + _side(frame) :][:12]
    if mark[:4] not in (b"Xing", b"Info"):
        return None
    return int.from_bytes(mark[8:12], "big") if len(mark) == 12 and mark[7] & 1 else 0


def _count_frame(header: bytes, frames: int) -> bytes:
    """A frame that says so many will follow, for sound of that header."""
    own = bytes((header[0], header[1] | 1, header[2] & 0x0C | ROOMY << 4, header[3]))
    mark = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (own + bytes(_side(own)) + mark).ljust(_size(own), b"\0")
