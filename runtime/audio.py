"""Sound of any form to mono at the model's rate, a block at a time: libsndfile reads files, soxr resamples."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

log = logging.getLogger("ds2edge")

# A WAV written to a pipe cannot know its length and says the most that its field holds, or nearly so.
UNKNOWN_LENGTH = 0x7FFFF000


class AudioFile:
    """An open sound file: any format, rate and number of channels that libsndfile reads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens it. InputError if it is missing, no sound file, or holds no audio."""
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such file")
        try:
            self._file = soundfile.SoundFile(str(path))
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            raise InputError(f"{path}: not a readable sound file ({reason}): give WAV, FLAC, Ogg or MP3") from None
        if self._file.frames == 0:
            raise InputError(f"{path}: holds no audio (0 samples)")
        self.rate: int = self._file.samplerate
        self.seconds: float = self._file.frames / self.rate  # as the header says

    def blocks(self, seconds: float = 1.0) -> Iterator[Samples]:
        """Mono float32 blocks in -1..1 at the file's own rate.

        A file that is cut short gives what is there, and a warning: half a recording is worth transcribing.
        """
        read, problem = 0, _missing_data(self._file.extra_info)
        with self._file:
            blocks = self._file.blocks(int(seconds * self.rate), dtype="float32", always_2d=True)
            while True:
                try:
                    block = next(blocks, None)
                except soundfile.LibsndfileError as error:
                    problem = error.error_string.rstrip(".")
                    break
                if block is None:
                    break
                read += len(block)
                yield to_mono(block)
        if read == 0:
            raise InputError(f"{self.path}: holds no readable audio ({problem or 'nothing after the header'})")
        if problem:
            log.warning("%s: the file is cut short (%s); read %.1f s", self.path, problem, read / self.rate)


def _missing_data(libsndfile_log: str) -> str | None:
    """What libsndfile noticed of a WAV whose header promises more than the file holds."""
    match = re.search(r"^\s*data\s*:\s*(\d+) \(should be (\d+)\)", libsndfile_log, re.MULTILINE)
    if match and int(match[2]) < int(match[1]) < UNKNOWN_LENGTH:
        return f"{match[2]} of {match[1]} bytes of sound"
    return None


def to_mono(samples: npt.NDArray[np.generic]) -> Samples:
    """[n] or [n, channels], int16, int32 or float -> float32 [n] in -1..1; what is not finite becomes silence."""
    if samples.dtype in (np.int16, np.int32):
        samples = samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    elif not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples of type {samples.dtype}: give int16, int32 or float in -1..1")
    mono = samples.astype(np.float32, copy=False)
    if mono.ndim == 2:
        mono = mono.mean(axis=1)
    return mono if np.isfinite(mono).all() else np.nan_to_num(mono, posinf=0.0, neginf=0.0)


class Resampler:
    """A stream of sound as mono float32 at one rate. How it is cut into calls changes nothing."""

    def __init__(self, rate: int) -> None:
        """`rate`: what comes out, in Hz."""
        self.rate = rate
        self._heard_rate: int | None = None
        self._stream: Any = None  # soxr.ResampleStream, where rates differ

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> Samples:
        """Next samples, as `to_mono` takes them, at `rate` Hz -> [m] at the stream's rate.

        Another rate than before (another microphone) ends what came at the old one. InputError if soxr is needed and
        not installed: it has no wheel for 32-bit Arm, where sound at the model's rate does without.
        """
        ended = self.finish() if rate != self._heard_rate else np.zeros(0, np.float32)
        if rate != self._heard_rate:
            self._heard_rate = rate
            self._stream = None if rate == self.rate else _resample_stream(rate, self.rate)
        mono = to_mono(samples)
        heard = mono if self._stream is None else self._stream.resample_chunk(mono)
        return np.concatenate([ended, heard]) if len(ended) else heard

    def finish(self) -> Samples:
        """What the filter still holds; the next sound is a new one."""
        rest = np.zeros(0, np.float32)
        if self._stream is not None:
            rest = self._stream.resample_chunk(rest, last=True)
        self._heard_rate = self._stream = None
        return rest


def _resample_stream(heard: int, wanted: int) -> Any:
    try:
        import soxr  # here, since 32-bit Arm does without
    except ModuleNotFoundError:
        raise InputError(
            f"sound at {heard} Hz needs the package soxr to become {wanted} Hz: pip install soxr, or give {wanted} Hz"
        ) from None
    return soxr.ResampleStream(heard, wanted, 1, dtype="float32")


def read_audio(path: str | os.PathLike[str], rate: int) -> Samples:
    """A whole clip as float32 mono at `rate` Hz. For training; a device reads `AudioFile.blocks`."""
    audio, resampler = AudioFile(path), Resampler(rate)
    blocks = [resampler.accept(block, audio.rate) for block in audio.blocks()]
    return np.concatenate([*blocks, resampler.finish()])
