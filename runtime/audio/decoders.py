"""Opens sound files with libsndfile, or with FFmpeg (PyAV) if libsndfile cannot read them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from ds2edge.runtime.audio.byte_range import ByteRange
from ds2edge.runtime.audio.channels import MAX_CHANNELS, Channels
from ds2edge.runtime.audio.concatenated import split_recordings
from ds2edge.runtime.audio.ffmpeg import FFmpegDecoder
from ds2edge.runtime.audio.libsndfile import LibsndfileDecoder
from ds2edge.runtime.errors import InputError

log = logging.getLogger("ds2edge")

# What a decoder may raise because of the file that it reads.
DECODER_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    OSError,
    MemoryError,
    EOFError,
    ArithmeticError,
    LookupError,
)
MIN_RATE = 100  # Hz
MAX_RATE = 1_000_000  # Hz
# A file of this size or more may hold sound although its header counts no samples.
MIN_BYTES = 4096


class Decoder(Protocol):
    """An open recording."""

    rate: int  # Hz
    channels: int
    # Seconds, as the header says: 0 if there are no samples, infinity if the length is unknown.
    header_duration: float

    def read(self, count: int) -> Channels:
        """Returns the next samples, at most `count` per channel; none at the end."""

    def shortfall(self, samples: int) -> str:
        """Returns why a recording that gave only `samples` per channel is too short, or ""."""

    def close(self) -> None:
        """Closes the file."""


def open_recordings(path: Path) -> Generator[Decoder, None, None]:
    """Yields the recordings in a file one after the other and closes each before the next.

    Raises InputError if the first cannot be opened. Later ones are skipped with a warning.
    """
    try:
        ranges = split_recordings(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    for number, byte_range in enumerate(ranges, 1):
        try:
            decoder = (
                _open(path, byte_range) if number == 1 else LibsndfileDecoder(path, byte_range)
            )
        except InputError:
            raise
        except DECODER_ERRORS as error:
            log.warning(
                "%s: part %d of it cannot be read and is skipped (%s)",
                path,
                number,
                describe(error),
            )
            continue
        with contextlib.closing(decoder):
            _require_plausible(path, decoder)
            yield decoder


def _require_plausible(path: Path, decoder: Decoder) -> None:
    if MIN_RATE <= decoder.rate <= MAX_RATE and 1 <= decoder.channels <= MAX_CHANNELS:
        return
    raise InputError(
        f"{path}: its header says {decoder.channels} channels at {decoder.rate} Hz: "
        f"give 1 to {MAX_CHANNELS} channels at {MIN_RATE} to {MAX_RATE} Hz"
    )


def _open(path: Path, byte_range: ByteRange) -> Decoder:
    try:
        decoder = LibsndfileDecoder(path, byte_range)
    except DECODER_ERRORS as error:
        return _open_with_ffmpeg(path, f"not a readable sound file ({describe(error)})")
    if decoder.header_duration:
        return decoder
    decoder.close()
    problem = "holds no audio (0 samples)"
    if byte_range.end < MIN_BYTES:
        raise InputError(f"{path}: {problem}")
    return _open_with_ffmpeg(path, problem)


def _open_with_ffmpeg(path: Path, problem: str) -> Decoder:
    """Opens a file with FFmpeg. `problem`: why libsndfile could not, for the InputError."""
    try:
        return FFmpegDecoder(path)
    except ModuleNotFoundError:
        remedy = (
            "to read more formats, run pip install '.[formats]' in the checkout of ds2edge, "
            "or convert the file: ffmpeg -i IN OUT.wav"
        )
    except DECODER_ERRORS:
        remedy = "give WAV, FLAC, Ogg, MP3 or another format that FFmpeg can read"
    raise InputError(f"{path}: {problem}: {remedy}")


def describe(error: BaseException) -> str:
    """Returns a decoder's error message on one line."""
    message = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
    return str(message).strip().split("\n")[0].rstrip(".") or type(error).__name__
