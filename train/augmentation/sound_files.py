"""Reads the sound files of a folder in pieces, and holds the last pieces in memory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.decoders import DECODER_ERRORS, describe
from ds2edge.runtime.audio.file_types import LIBSNDFILE_SUFFIXES, is_system_file
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

PIECE = 10  # seconds: of a long file, only the parts that are used are read
MAX_DURATION = 86400  # seconds of a file, whatever its header says
CACHED_PIECES = 400  # in each process: 256 MB at most, at 16 kHz


@lru_cache(maxsize=8)
def sound_files(folder: str) -> tuple[Path, ...]:
    """The sound files of a folder and its subfolders, sorted. InputError if there are none."""
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder of sounds to augment with")
    # Files that only FFmpeg reads are left out: `read_piece` seeks with libsndfile.
    files = tuple(
        path
        for path in sorted(Path(folder).rglob("*"))
        if path.suffix.lower() in LIBSNDFILE_SUFFIXES and not is_system_file(path, Path(folder))
    )
    if not files:
        raise InputError(f"{folder}: holds no sound file to augment with")
    return files


@lru_cache(maxsize=100_000)
def rate_and_length(path: Path) -> tuple[int, int]:
    """Sample rate in Hz and number of samples of a file, from its header.

    InputError if it is no sound file or holds no audio.
    """
    audio = AudioFile(path)
    return audio.rate, round(min(audio.header_duration, MAX_DURATION) * audio.rate)


@lru_cache(maxsize=CACHED_PIECES)
def read_piece(path: Path, number: int, rate: int) -> Samples:
    """Piece number `number` of a file, counted from 0: float32 [n] at `rate` Hz, n > 0.

    It lasts `PIECE` seconds, or less at the end of the file. Only the first channel is read: the
    mean of several microphones would be a comb filter. InputError as in `rate_and_length`.
    """
    file_rate, _ = rate_and_length(path)
    try:
        size = PIECE * file_rate
        samples, _ = soundfile.read(path, size, number * size, dtype="float32", always_2d=True)
    except DECODER_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({describe(error)})") from None
    piece: Samples = soxr.resample(to_float(samples)[:, 0], file_rate, rate)
    if not len(piece):  # the file is cut short, or too short for a single sample
        piece = np.zeros(1, np.float32)
    piece.flags.writeable = False  # the cache returns this array again
    return piece
