"""Finds MP3 streams in a file and counts their frames.

libsndfile takes the length of an MP3 from a Xing or LAME frame at its start, or guesses it from
the file size. It stops reading there, although both are often wrong.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from ds2edge.runtime.audio.byte_range import ByteRange

# Bit rates of layer III in kbit/s, by the index in the frame header.
MPEG1_BIT_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_BIT_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Sample rates in Hz, by MPEG version and index.
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
ID3V1_SIZE = 128  # bytes
ID3V2_HEADER = 10  # bytes
SYNC_FRAMES = 3  # consecutive frames that identify bytes as MP3
XING_BIT_RATE = 8  # index of a bit rate whose frames have room for a Xing header


@dataclass
class _Stream:
    """An MP3 stream whose end has not been found yet."""

    start: int  # of its first frame, which may be a Xing frame
    first_audio: int = 0  # start of the first frame with sound
    frames: int = 0  # with sound
    declared_frames: int = 0  # as the Xing frame says

    def add_frame(self, position: int, xing_count: int | None) -> None:
        """Counts a frame. `xing_count`: None for a frame with sound."""
        if xing_count is not None:
            self.declared_frames = xing_count
            return
        self.first_audio = self.first_audio or position
        self.frames += 1

    def close(self, data: mmap.mmap, end: int) -> ByteRange:
        """Returns its bytes, with a new Xing frame in front if it declares too few frames."""
        if self.declared_frames >= self.frames:
            return ByteRange(self.start, end)
        header = data[self.first_audio : self.first_audio + 4]
        return ByteRange(self.first_audio, end, _xing_frame(header, self.frames))


def split_streams(data: mmap.mmap) -> Iterator[ByteRange]:
    """Yields the MP3 streams in a file. A new stream starts after an ID3 tag or at a Xing frame."""
    position = _skip_tags(data, 0)
    if not _is_mp3(data, position):
        # Look further only behind a tag or zero padding: other files are not MP3.
        may_be_mp3 = position > 0 or data[:1] == b"\0"
        position = _find_mp3(data, position) if may_be_mp3 else len(data)
    stream: _Stream | None = None
    while position < len(data):
        size = _frame_size(data[position : position + 4])
        xing_count = _xing_count(data, position, size) if size else None
        starts_stream = xing_count is not None or data[position : position + 3] == b"ID3"
        if stream and stream.frames and starts_stream:
            yield stream.close(data, position)
            stream = None
        if size:
            stream = stream or _Stream(position)
            stream.add_frame(position, xing_count)
            position += size
        else:
            position = max(_skip_other(data, position), position + 1)
    if stream and stream.frames:
        yield stream.close(data, len(data))


def _frame_size(header: bytes) -> int:
    """Returns the size of a frame in bytes; 0 if these four bytes are no frame header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version = header[1] >> 3 & 3
    bit_rate = header[2] >> 4
    sample_rate = header[2] >> 2 & 3
    padding = header[2] >> 1 & 1
    if version == 1 or bit_rate in (0, 15) or sample_rate == 3:
        return 0
    rates, factor = (MPEG1_BIT_RATES, 144) if version == 3 else (MPEG2_BIT_RATES, 72)
    return factor * rates[bit_rate] * 1000 // SAMPLE_RATES[version][sample_rate] + padding


def _is_mp3(data: mmap.mmap, position: int) -> bool:
    """Whether `SYNC_FRAMES` frames follow each other here; fewer are enough at the end."""
    for _ in range(SYNC_FRAMES):
        size = _frame_size(data[position : position + 4])
        if not size:
            return False
        position += size
        if position >= len(data):
            return True
    return True


def _find_mp3(data: mmap.mmap, position: int) -> int:
    """Returns the next position of an ID3 tag or of frames; the end of the file if none."""
    while position < len(data):
        sync = data.find(b"\xff", position)
        tag = data.find(b"ID3", position)
        if tag >= 0 and (sync < 0 or tag < sync):
            return tag
        if sync < 0:
            break
        if _is_mp3(data, sync):
            return sync
        position = sync + 1
    return len(data)


def _skip_other(data: mmap.mmap, position: int) -> int:
    """Returns the position after tags or bytes that are no MP3."""
    if data[position : position + 3] in (b"ID3", b"TAG"):
        return _skip_tags(data, position)
    return _find_mp3(data, position + 1)


def _skip_tags(data: mmap.mmap, position: int) -> int:
    """Returns the position after the ID3 tags that start here."""
    while True:
        head = data[position : position + ID3V2_HEADER]
        if head[:3] == b"TAG":
            position += ID3V1_SIZE
        elif head[:3] == b"ID3" and len(head) == ID3V2_HEADER and max(head[6:]) < 128:
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            position += ID3V2_HEADER + size
        else:
            return position


def _side_information(header: bytes) -> int:
    """Returns how many bytes stand between the header and the sound of a frame."""
    mono = header[3] >> 6 == 3
    if header[1] >> 3 & 3 == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def _xing_count(data: mmap.mmap, position: int, size: int) -> int | None:
    """Returns how many frames a Xing frame declares (0: unknown); None for any other frame."""
    frame = data[position : position + min(size, 64)]
    mark = frame[4 + _side_information(frame) :][:12]
    if mark[:4] not in (b"Xing", b"Info"):
        return None
    has_count = len(mark) == 12 and mark[7] & 1
    return int.from_bytes(mark[8:12], "big") if has_count else 0


def _xing_frame(header: bytes, frames: int) -> bytes:
    """Builds a Xing frame that declares `frames` frames, for a stream with this frame header."""
    xing_header = bytes(
        (header[0], header[1] | 1, header[2] & 0x0C | XING_BIT_RATE << 4, header[3])
    )
    mark = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    frame = xing_header + bytes(_side_information(xing_header)) + mark
    return frame.ljust(_frame_size(xing_header), b"\0")
