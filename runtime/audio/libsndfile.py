"""Decodes WAV, FLAC, Ogg, MP3 and other common formats with libsndfile."""

from __future__ import annotations

import contextlib
import mmap
import re
from pathlib import Path

import numpy as np
import soundfile

from ds2edge.runtime.audio import ogg
from ds2edge.runtime.audio.byte_range import ByteRange, RangeFile
from ds2edge.runtime.audio.channels import Channels
from ds2edge.runtime.audio.wav_header import UNKNOWN_BYTES
from ds2edge.runtime.quiet import quiet

UNKNOWN_SAMPLES = 1 << 40
# How a MIDI sample dump (.sds) starts. libsndfile prints its errors to standard output.
MIDI_DUMP = b"\xf0\x7e"
COMMON = (b"RI", b"fL", b"Og")  # how WAV, FLAC and Ogg start: surely no MP3
PIECE = 16  # samples
ERRORS = (soundfile.SoundFileError, OSError)
TOLERANCE = 0.05  # seconds by which a recording may be shorter than its header says


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from start to end without seeking.

    soundfile seeks after every read if it can. A streamed FLAC fails then at its end.
    """

    def seekable(self) -> bool:
        """Always false."""
        return False


class LibsndfileDecoder:
    """An open recording that libsndfile decodes."""

    def __init__(self, path: Path, byte_range: ByteRange) -> None:
        """Opens a part of a file. Raises soundfile's own errors and OSError."""
        self._path = path
        self._is_last = byte_range.end == path.stat().st_size
        self._byte_range = byte_range
        self._position = 0  # of the next sample
        with RangeFile(path, byte_range) as file:
            head = file.read(len(MIDI_DUMP))
        if head == MIDI_DUMP:
            raise ValueError("a MIDI sample dump")
        with _silence_libmpg123(head not in COMMON):
            self._file = self._open()
        self.rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self._is_mp3 = self._file.format == "MP3"
        self._log = self._file.extra_info
        self._error: Exception | None = None
        if self._file.frames < UNKNOWN_SAMPLES:
            self._header_samples = self._file.frames
            self.header_duration = self._header_samples / self.rate if self.rate else 0.0
        else:
            self._header_samples = 0
            self.header_duration = float("inf")

    def _open(self) -> _ForwardFile:
        whole = self._byte_range == ByteRange(0, self._path.stat().st_size)
        return _ForwardFile(str(self._path) if whole else RangeFile(self._path, self._byte_range))

    def read(self, count: int) -> Channels:
        """Returns the next samples, at most `count` per channel; none at the end.

        The samples before an error are returned first.
        """
        if self._error:
            raise self._error
        with _silence_libmpg123(self._is_mp3):
            try:
                samples = self._read(count)
            except ERRORS as error:
                self._error = error
                samples = self._read_to_error(count)
        self._position += len(samples)
        if self._error and not len(samples):
            raise self._error
        return samples

    def _read(self, count: int) -> Channels:
        samples: Channels = self._file.read(count, dtype="float32", always_2d=True)
        return samples

    def _read_to_error(self, count: int) -> Channels:
        """The samples that a failed read lost: soundfile drops them.

        Reads the file again from its start, and these samples in small pieces.
        """
        pieces = [np.zeros((0, self.channels), np.float32)]
        self._file.close()
        with contextlib.suppress(*ERRORS):
            self._file = self._open()
            for first in range(0, self._position, count):
                self._read(min(count, self._position - first))
            for first in range(0, count, PIECE):
                pieces.append(self._read(min(PIECE, count - first)))
        return np.concatenate(pieces)

    def shortfall(self, samples: int) -> str:
        """Returns why a recording that gave only `samples` per channel is too short, or ""."""
        match = re.search(r"^\s*data\s*:\s*(\d+) \(should be (\d+)\)", self._log, re.MULTILINE)
        if match and int(match[2]) < int(match[1]) < UNKNOWN_BYTES:
            return f"{match[2]} of {match[1]} bytes of sound"
        if self._file.format == "OGG" and self._ends_in_a_page():
            return "the last page of the Ogg file is not whole"
        if self._header_samples - samples > TOLERANCE * self.rate:
            return f"its header says {self.header_duration:.1f} s"
        return ""

    def _ends_in_a_page(self) -> bool:
        with (
            self._path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return self._is_last and ogg.is_cut(data)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _silence_libmpg123(silence: bool) -> contextlib.AbstractContextManager[None]:
    """Discards libmpg123's warnings on standard error about frames that it plays all the same."""
    return quiet() if silence else contextlib.nullcontext()
