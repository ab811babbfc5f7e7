"""Decodes m4a, mp4, webm, wma and other formats with FFmpeg, through PyAV (the extra `formats`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ds2edge.runtime.audio.channels import Channels

# Seconds by which a recording may be shorter than its header says, which may count padding.
TOLERANCE = 0.5
# FFmpeg's demuxers for single files. Playlists are left out: they could open any other file.
DEMUXERS = ",".join(
    [
        *("3g2", "3gp", "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi"),
        *("caf", "dsf", "dts", "eac3", "flac", "flv", "g722", "gsm", "loas", "m4a", "matroska"),
        *("mj2", "mlp", "mov", "mp3", "mp4", "mpc", "mpc8", "mpeg", "mpegts", "ogg", "oma", "rm"),
        *("shn", "sox", "tak", "truehd", "tta", "voc", "w64", "wav", "webm", "wv", "xwma"),
    ]
)


class FFmpegDecoder:
    """The first audio stream of a file that FFmpeg decodes."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises ModuleNotFoundError if PyAV is not installed, ValueError if FFmpeg finds no sound.
        """
        import av

        self._av = av
        options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
        with self._value_errors():
            self._container = av.open(
                f"file:{path}", container_options=options, metadata_errors="replace"
            )
        if not self._container.streams.audio:
            raise ValueError("holds no sound")
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("FFmpeg cannot decode this kind of sound")
        self.rate = int(stream.codec_context.sample_rate)
        self.channels = int(stream.codec_context.layout.nb_channels)
        self.header_duration = self._duration(stream)
        self._frames = self._container.decode(stream)
        self._converter: Any = None  # av.AudioResampler
        self._error: ValueError | None = None
        self._pending: Channels = np.zeros((0, self.channels), np.float32)

    def _duration(self, stream: Any) -> float:
        """Returns the duration in seconds that the stream or the file declares."""
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return (self._container.duration or 0) / 1e6 or float("inf")

    def read(self, count: int) -> Channels:
        """Returns the next samples, at most `count` per channel; none at the end."""
        if self._error:
            raise self._error
        pieces = [self._pending]
        total = len(self._pending)
        try:
            with self._value_errors():
                while total < count and (frame := next(self._frames, None)) is not None:
                    piece = self._to_float(frame)
                    pieces.append(piece)
                    total += len(piece)
        except ValueError as error:
            if not total:
                raise
            self._error = error  # for the next call: first, what was decoded before
        samples = np.concatenate(pieces)
        self._pending = samples[count:]
        return samples[:count]

    @contextlib.contextmanager
    def _value_errors(self) -> Iterator[None]:
        """Turns PyAV's errors, which have no common built-in base, into ValueError."""
        try:
            yield
        except self._av.FFmpegError as error:
            raise ValueError(error.strerror) from None

    def _to_float(self, frame: Any) -> Channels:
        """Converts a frame to float32 [samples, channels] at the same rate."""
        if self._converter is None:
            self._converter = self._av.AudioResampler("flt", frame.layout, frame.sample_rate)
        pieces = [
            piece.to_ndarray().reshape(-1, self.channels)
            for piece in self._converter.resample(frame)
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.channels), np.float32)

    def shortfall(self, samples: int) -> str:
        """Returns why a recording that gave only `samples` per channel is too short, or ""."""
        duration = self.header_duration
        if duration < float("inf") and duration - samples / self.rate > TOLERANCE:
            return f"its header says {duration:.1f} s"
        return ""

    def close(self) -> None:
        """Closes the file."""
        self._container.close()
