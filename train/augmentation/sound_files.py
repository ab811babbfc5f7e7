"""Folders of sound files to augment with: listed once, read piece by piece, the last pieces held in memory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.decoders import DECODER_ERRORS, describe
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.file_types import LIBSNDFILE_SUFFIXES, is_system_file
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

PIECE = 10  # seconds; an hour of noise is then read where it is heard, not whole
LONGEST = 86400  # seconds of a file, whatever its header says
HELD = 400  # pieces in each process: 256 MB at most at 16 kHz


@lru_cache(maxsize=8)
def sound_files(folder: str) -> tuple[Path, ...]:
    """Sound files in the folder and those below it, in order. InputError if it is missing or there are none."""
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder of sounds to augment with")
    # Not those that FFmpeg alone reads: `read_piece` seeks with libsndfile.
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
    """Of a file, in Hz and samples, as its header says. InputError if it is no sound file or holds no audio."""
    audio = AudioFile(path)
    return audio.rate, round(min(audio.header_duration, LONGEST) * audio.rate)


@lru_cache(maxsize=HELD)
def read_piece(path: Path, number: int, rate: int) -> Samples:
    """`PIECE` seconds of a file, `number` pieces from its start, at `rate` Hz; fewer at its end. float32 [n], n > 0.

    The first channel alone: the mean of several microphones would be a comb filter. InputError as `rate_and_length`.
    """
    own, _ = rate_and_length(path)
    try:
        samples, _ = soundfile.read(
            path, PIECE * own, number * PIECE * own, dtype="float32", always_2d=True
        )
    except DECODER_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({describe(error)})") from None
    heard = soxr.resample(to_float(samples)[:, 0], own, rate)
    heard = (
        heard if len(heard) else np.zeros(1, np.float32)
    )  # cut short, or too short for a single sample
    heard.flags.writeable = False  # the next caller gets the same array
    return heard
