"""Reads sound files of any format as mono, block by block.

What a decoder returns counts. Headers are only used for progress bars and warnings, since the
length that they declare is often wrong.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from ds2edge.runtime.audio.channels import Channels, ChannelStatistics, Weights, mix, to_float
from ds2edge.runtime.audio.decoders import DECODER_ERRORS, Decoder, describe, open_recordings
from ds2edge.runtime.audio.level import LevelMeter
from ds2edge.runtime.audio.pipe import copy_of_pipe
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples

log = logging.getLogger("ds2edge")

MAX_BLOCK = 1 << 20  # samples of all channels together


class AudioFile:
    """A sound file of any format, sample rate and number of channels.

    `level`, `truncation` and `cancelled` describe what `blocks` has read so far.
    """

    def __init__(self, path: str | os.PathLike[str], channel: int | None = None) -> None:
        """Opens a file; `-` is standard input. `channel`: read this channel only, counted from 1.

        Raises InputError if the file is missing, is no sound file, holds no audio, or lacks the
        channel.
        """
        self.path = Path(path)
        self.channel = channel
        self._pipe = copy_of_pipe(self.path)
        self._file = Path(self._pipe.name) if self._pipe else self.path
        with closing(self._recordings()) as recordings:
            first = next(recordings, None)
            if first is None or not first.header_duration:
                raise InputError(f"{path}: holds no audio (0 samples)")
            self.rate = first.rate
            self.channels = first.channels
            self.header_duration = first.header_duration  # seconds; for progress bars only
        self._reset()

    def _reset(self) -> None:
        self.level = LevelMeter(self.rate)
        self.truncation = ""  # why the sound ends too early
        self.cancelled = False  # whether a plain mean of the channels would cancel the sound

    def blocks(self, seconds: float = 1.0, warn: bool = True) -> Iterator[Samples]:
        """Yields mono float32 blocks [n] in -1..1 at the file's own rate.

        Reads a file of several channels twice: the first time to choose the weights of the
        channels. Of a truncated file, it yields what is there. `warn`: log what `warnings`
        returns. Raises InputError if nothing can be read.
        """
        self._reset()
        weights = iter(self._weights())
        for recording in self._recordings():
            plain_mean = ChannelStatistics(recording.channels).weights
            recording_weights = next(weights, plain_mean)
            for block in self._mono_blocks(recording, recording_weights, seconds):
                if len(block):
                    self.level.add(block)
                    yield block
        if self.level.samples == 0:
            reason = self.truncation or "nothing after the header"
            raise InputError(f"{self.path}: holds no readable audio ({reason})")
        for warning in self.warnings() if warn else ():
            log.warning("%s: %s", self.path, warning)

    def warnings(self) -> list[str]:
        """Returns what is wrong with the sound that has been read, apart from its level."""
        warnings = []
        if self.truncation:
            seconds = self.level.samples / self.rate
            warnings.append(f"the file is cut short ({self.truncation}); read {seconds:.1f} s")
        if self.cancelled and self.channel is None:
            warnings.append(
                "its channels cancel each other out, so one is inverted "
                "(--channel 1 takes the first channel only)"
            )
        return warnings

    def _recordings(self) -> Generator[Decoder, None, None]:
        """Yields the recordings in the file; errors name the path that the user gave."""
        try:
            for recording in open_recordings(self._file):
                if self.channel is not None and self.channel > recording.channels:
                    raise InputError(
                        f"{self.path}: has no channel {self.channel}: "
                        f"the highest is {recording.channels}"
                    )
                yield recording
        except InputError as error:
            raise InputError(str(error).replace(str(self._file), str(self.path), 1)) from None

    def _weights(self) -> list[Weights]:
        """Returns the weights of the channels of each recording; none for a mono file."""
        if self.channels == 1 or self.channel is not None:
            return []
        statistics = [
            ChannelStatistics.of(self._read(recording, 1.0), recording.channels)
            for recording in self._recordings()
        ]
        self.cancelled = any(recording.cancelled for recording in statistics)
        return [recording.weights for recording in statistics]

    def _mono_blocks(
        self, recording: Decoder, weights: Weights, seconds: float
    ) -> Iterator[Samples]:
        """Yields a recording as mono at the rate of the file's first recording."""
        resampler = Resampler(self.rate)
        for block in self._read(recording, seconds):
            if self.channel is None:
                mono = mix(block, weights)
            else:
                mono = np.ascontiguousarray(block[:, self.channel - 1])
            same_rate = recording.rate == self.rate
            yield mono if same_rate else resampler.accept(mono, recording.rate)
        yield resampler.finish()

    def _read(self, recording: Decoder, seconds: float) -> Iterator[Channels]:
        """Reads until the decoder returns nothing or fails. All sound passes through here."""
        size = max(1, min(int(seconds * recording.rate), MAX_BLOCK // recording.channels))
        total = 0
        while True:
            try:
                block = recording.read(size)
            except DECODER_ERRORS as error:
                self.truncation = describe(error)
                return
            if not len(block):
                self.truncation = self.truncation or recording.shortfall(total)
                return
            total += len(block)
            yield to_float(block)


def read_audio(path: str | os.PathLike[str], rate: int) -> Samples:
    """Returns a whole file as mono float32 [n] at `rate` Hz.

    Use `AudioFile.blocks` for long files. Raises InputError if the file cannot be read.
    """
    audio = AudioFile(path)
    resampler = Resampler(rate)
    blocks = [resampler.accept(block, audio.rate) for block in audio.blocks()]
    return np.concatenate([*blocks, resampler.finish()])


def scan_audio(path: str | os.PathLike[str]) -> AudioFile:
    """Reads a file to its end without warnings; its `level` then says how long and loud it is.

    Raises InputError if the file cannot be read.
    """
    audio = AudioFile(path)
    for _ in audio.blocks(warn=False):
        pass
    return audio
