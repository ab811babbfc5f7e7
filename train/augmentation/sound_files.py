"""Reads the sound files of a folder in pieces, and holds the last pieces in memory."""

from __future__ import annotations

import logging
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from ds2edge.runtime.audio.file_types import is_audio, is_system_file
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

log = logging.getLogger("ds2edge")

PIECE = 10  # seconds: of a long file, only the parts that are used are kept in memory
# Seconds of a file that are used. A piece is reached by decoding all before it.
MAX_DURATION = 600
CACHED_PIECES = 400  # in each process: 256 MB at most, at 16 kHz


class Length(NamedTuple):
    """What a sound file holds, up to `MAX_DURATION`."""

    rate: int  # Hz
    samples: int
    pieces: int


@lru_cache(maxsize=8)
def sound_files(folder: str) -> tuple[Path, ...]:
    """The sound files of a folder and its subfolders, sorted. InputError if there are none."""
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder of sounds to augment with")
    files = tuple(
        path
        for path in sorted(Path(folder).rglob("*"))
        if is_audio(path) and not is_system_file(path, Path(folder))
    )
    if not files:
        raise InputError(f"{folder}: holds no sound file to augment with")
    return files


def draw_file(folder: str, rng: np.random.Generator) -> Path:
    """Draws a file of the folder. In place of one that cannot be read, it takes the next one.

    InputError if the folder has no sound files, or none that can be read.
    """
    files = sound_files(folder)
    first = int(rng.integers(len(files)))
    for path in (*files[first:], *files[:first]):
        if _is_readable(path):
            return path
    raise InputError(f"{folder}: holds no sound file that can be read")


@lru_cache(maxsize=100_000)
def _is_readable(path: Path) -> bool:
    try:
        measure(path)
    except InputError as error:
        log.warning("left out of the augmentation: %s", error)
        return False
    return True


@lru_cache(maxsize=100_000)
def measure(path: Path) -> Length:
    """Reads a file up to `MAX_DURATION`: what its header says of the length may be wrong.

    InputError if it is no sound file or holds no audio.
    """
    audio = _open(path)
    sizes: list[int] = []
    for block in audio.blocks(PIECE, warn=False):
        sizes.append(len(block))
        if sum(sizes) >= MAX_DURATION * audio.rate:
            break
    return Length(audio.rate, sum(sizes), len(sizes))


@lru_cache(maxsize=CACHED_PIECES)
def read_piece(path: Path, number: int, rate: int) -> Samples:
    """Piece number `number` of a file, counted from 0: float32 [n] at `rate` Hz, n > 0.

    It lasts `PIECE` seconds, or less at the end of the file. InputError as in `measure`.
    """
    audio = _open(path)
    samples = next(islice(audio.blocks(PIECE, warn=False), number, None))
    piece: Samples = soxr.resample(samples, audio.rate, rate)
    if not len(piece):  # too short for a single sample
        piece = np.zeros(1, np.float32)
    piece.flags.writeable = False  # the cache returns this array again
    return piece


def _open(path: Path) -> AudioFile:
    # The first channel only: the mean of several microphones would be a comb filter.
    return AudioFile(path, channel=1)
