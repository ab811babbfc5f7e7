"""Sound of any form to mono at the model's rate, a block at a time: what was read is trusted, never a header."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import Mixer, Mixture, Weights, to_float
from ds2edge.runtime.audio.decoders import ITS_OWN_ERRORS, Channels, Decoder, decoders, reason
from ds2edge.runtime.audio.level import Level
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

log = logging.getLogger("ds2edge")

MOST_SAMPLES = 1 << 20  # in a block, of all channels together
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")


class AudioFile:
    """An open sound file: any format, rate and number of channels that there is a decoder for."""

    def __init__(self, path: str | os.PathLike[str], channel: int | None = None) -> None:
        """Opens it; `-` is standard input. `channel`: take that one alone, counted from 1.

        InputError if it is missing, no sound file, holds no audio, or has not that channel.
        """
        self.path, self.channel = Path(path), channel
        self._file = self.path
        self._spool: Any = None  # what keeps a pipe's bytes while they are read
        if str(path) in STANDARD_INPUT:
            self._spool = _spooled(self.path)
        else:
            kind = _kind(self.path)
            if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                self._spool = _spooled(self.path)
            elif not stat.S_ISREG(kind):
                raise InputError(
                    f"{path}: is {'a folder' if stat.S_ISDIR(kind) else 'a device'}, not a sound file"
                )
        if self._spool is not None:
            self._file = Path(self._spool.name)
        with closing(self._decoders()) as found:
            first = next(found, None)
            if first is None or not first.promised:
                raise InputError(f"{path}: holds no audio (0 samples)")
            self.rate, self.channels = first.rate, first.channels
            self.promised = first.promised  # seconds, as the header says: for progress bars alone
        self.level = Level(self.rate)  # of what was read
        self.cut = ""  # why it is shorter than it should be, as far as it was read
        self.cancelled = False  # whether the plain mean of its channels would have lost the sound

    def blocks(self, seconds: float = 1.0, warn: bool = True) -> Iterator[Samples]:
        """Mono float32 blocks in -1..1 at the file's own rate.

        A file that is cut short gives what is there, and a warning: half a recording is worth transcribing. Channels
        are mixed by what the whole file says of them. InputError if nothing can be read.
        """
        self.level, self.cut, self.cancelled = Level(self.rate), "", False
        mixtures = (
            [self._weights(decoder) for decoder in self._decoders()] if self._several() else []
        )
        for number, decoder in enumerate(self._decoders()):
            weights = mixtures[number] if number < len(mixtures) else None
            resampler = Resampler(self.rate)
            for block in self._read(decoder, seconds):
                mono = self._mono(block, weights)
                yield from self._measured(
                    mono if decoder.rate == self.rate else resampler.accept(mono, decoder.rate)
                )
            yield from self._measured(resampler.finish())
        if self.level.samples == 0:
            raise InputError(
                f"{self.path}: holds no readable audio ({self.cut or 'nothing after the header'})"
            )
        for remark in self.remarks() if warn else ():
            log.warning("%s: %s", self.path, remark)

    def remarks(self) -> list[str]:
        """What a person should know of what was read."""
        found = []
        if self.cut:
            found.append(
                f"the file is cut short ({self.cut}); read {self.level.samples / self.rate:.1f} s"
            )
        if self.cancelled and self.channel is None:
            found.append(
                "its channels cancel each other out: one is turned over (--channel 1 takes the first alone)"
            )
        return found

    def _several(self) -> bool:
        return self.channels > 1 and self.channel is None

    def _measured(self, samples: Samples) -> Iterator[Samples]:
        if len(samples):
            self.level.add(samples)
            yield samples

    def _decoders(self) -> Generator[Decoder, None, None]:
        try:
            for decoder in decoders(self._file):
                if self.channel is not None and self.channel > decoder.channels:
                    raise InputError(
                        f"{self.path}: has {decoder.channels} channels, so no channel {self.channel}"
                    )
                yield decoder
        except InputError as error:
            raise InputError(str(error).replace(str(self._file), str(self.path), 1)) from None

    def _read(self, decoder: Decoder, seconds: float) -> Iterator[Channels]:
        """The one loop that reads sound: to where the decoder gives no more, or fails."""
        size, read = max(1, min(int(seconds * decoder.rate), MOST_SAMPLES // decoder.channels)), 0
        while True:
            try:
                block = decoder.read(size)
            except ITS_OWN_ERRORS as error:
                self.cut = reason(error)
                return
            if not len(block):
                self.cut = self.cut or decoder.missing(read)
                return
            read += len(block)
            yield to_float(block)

    def _weights(self, decoder: Decoder) -> Weights:
        mixture = Mixture(decoder.channels)
        for block in self._read(decoder, 1.0):
            mixture.measure(block)
        weights = mixture.weigh()
        self.cancelled = self.cancelled or mixture.cancelled
        return weights

    def _mono(self, block: Channels, weights: Weights | None) -> Samples:
        if self.channel is not None:
            return np.ascontiguousarray(block[:, self.channel - 1])
        if block.shape[1] == 1:
            return block[:, 0]
        if weights is None:
            weights = np.full(block.shape[1], 1 / block.shape[1])
        mono: Samples = (block * weights).sum(1).astype(np.float32)
        return mono


def _kind(path: Path) -> int:
    """What a path is, as os.stat says it. InputError if there is nothing, or it may not be looked at."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _spooled(path: Path) -> Any:
    """A temporary file of what a pipe gives: no decoder can do without going back."""
    standard = str(path) in STANDARD_INPUT
    if standard and (sys.stdin is None or sys.stdin.closed):
        raise InputError(f"{path}: standard input is closed")
    if standard and sys.stdin.isatty():
        raise InputError(f"{path}: standard input is a terminal: pipe a sound file into it")
    spool = tempfile.NamedTemporaryFile(prefix="ds2edge-")  # noqa: SIM115 (it lives as long as the file)
    try:
        with os.fdopen(os.dup(sys.stdin.fileno()), "rb") if standard else path.open("rb") as pipe:
            shutil.copyfileobj(pipe, spool)
        spool.flush()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not spool.tell():
        raise InputError(f"{path}: gives no bytes")
    return spool


class Resampler:
    """A stream of sound as mono float32 at one rate. How it is cut into calls changes nothing."""

    def __init__(self, rate: int) -> None:
        """`rate`: what comes out, in Hz."""
        self.rate = rate
        self._heard_rate: int | None = None
        self._mixer: Mixer | None = None
        self._stream: Any = None  # soxr.ResampleStream, where rates differ

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> Samples:
        """Next samples, as `to_float` takes them, at `rate` Hz -> [m] at the stream's rate.

        Another rate than before (another microphone) ends what came at the old one. InputError if soxr is needed and
        not installed: it has no wheel for 32-bit Arm, where sound at the model's rate does without.
        """
        ended = np.zeros(0, np.float32)
        if rate != self._heard_rate or self._mixer is None:
            ended = self.finish()
            self._heard_rate, self._mixer = rate, Mixer(rate)
            self._stream = None if rate == self.rate else _resample_stream(rate, self.rate)
        mono = self._mixer.accept(samples)
        heard = mono if self._stream is None else self._stream.resample_chunk(mono)
        return np.concatenate([ended, heard]) if len(ended) else heard

    def finish(self) -> Samples:
        """What the filter still holds; the next sound is a new one."""
        rest = self._mixer.finish() if self._mixer else np.zeros(0, np.float32)
        if self._stream is not None:
            rest = self._stream.resample_chunk(rest, last=True)
        self._heard_rate = self._stream = self._mixer = None
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


def measure(path: str | os.PathLike[str]) -> AudioFile:
    """A sound file that was read to its end: its `level` holds the number of samples. InputError if it cannot be."""
    audio = AudioFile(path)
    for _ in audio.blocks(warn=False):
        pass
    return audio
