"""Sound files as samples: libsndfile reads what it knows, FFmpeg (PyAV, where it is installed) everything else."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from ds2edge.runtime.audio.links import Link, LinkFile, links
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.quiet import quiet

log = logging.getLogger("ds2edge")

Channels = npt.NDArray[np.float32]  # [samples, channels]

# What a decoder may raise because of the file it reads.
ITS_OWN_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    OSError,
    MemoryError,
    EOFError,
    ArithmeticError,
    LookupError,
)
RATES = (100, 1_000_000)  # Hz: no sound is recorded below or above
MOST_CHANNELS = 64
# A WAV written to a pipe cannot know its length and says the most that its field holds, or nearly so.
UNKNOWN_BYTES, UNKNOWN_SAMPLES = 0x7FFFF000, 1 << 40
LEAST_BYTES = 4096  # of a file whose header counts no sample, but may be wrong
MISSING = 0.05  # seconds; what lacks more than that is cut short
MISSING_AV = 0.5  # the same where a header counts the silence that an encoder adds
# FFmpeg's demuxers of single files: others read lists of addresses, and would open what a hostile file names.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,amr,amrnb,amrwb,caf,wav,w64,mp3,ogg,flac,avi,mpegts,mpeg,flv,"
    "aiff,au,wv,ape,tta,ac3,eac3,dts,gsm,voc,sox,loas,mpc,mpc8,dsf,rm,xwma,oma,g722,mlp,truehd,tak,shn"
)


class Decoder(Protocol):
    """An open recording."""

    rate: int  # Hz
    channels: int
    promised: float  # seconds, as the header says; 0 if it does not

    def read(self, count: int) -> Channels:
        """The next samples, at most so many; none at the end."""

    def missing(self, samples: int) -> str:
        """What is wrong with a recording that gave so many samples and no more; "" if nothing is."""

    def close(self) -> None:
        """Closes the file."""


def decoders(path: Path) -> Generator[Decoder, None, None]:
    """The recordings in a file, one after the other, each closed before the next.

    InputError if it is no sound file; a later part that cannot be read is named and passed over.
    """
    for number, link in enumerate(_links(path)):
        if not number:
            decoder = _open(path, link)
        else:
            try:
                decoder = SndFile(path, link)
            except ITS_OWN_ERRORS as error:
                log.warning(
                    "%s: part %d of it cannot be read (%s)", path, number + 1, reason(error)
                )
                continue
        with contextlib.closing(decoder):
            if (
                not RATES[0] <= decoder.rate <= RATES[1]
                or not 1 <= decoder.channels <= MOST_CHANNELS
            ):
                raise InputError(
                    f"{path}: says that it has {decoder.channels} channels at {decoder.rate} Hz, which is no recording "
                    f"of speech: give 1 to {MOST_CHANNELS} channels at {RATES[0]} to {RATES[1]} Hz"
                )
            yield decoder


def _links(path: Path) -> list[Link]:
    try:
        return links(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _open(path: Path, link: Link) -> Decoder:
    try:
        found = SndFile(path, link)
        if found.promised:
            return found
        found.close()
        problem = "holds no audio (0 samples)"
        if link.end < LEAST_BYTES:
            raise InputError(f"{path}: {problem}")
    except InputError:
        raise
    except ITS_OWN_ERRORS as error:
        problem = f"not a readable sound file ({reason(error)})"
    try:
        return AvFile(path)
    except ModuleNotFoundError:
        remedy = (
            "pip install 'deepspeech2-edge[formats]' reads more formats; or ffmpeg -i IN OUT.wav"
        )
    except ITS_OWN_ERRORS:
        remedy = "give WAV, FLAC, Ogg, MP3, or what FFmpeg can read"
    raise InputError(f"{path}: {problem}: {remedy}")


def reason(error: BaseException) -> str:
    """What a decoder says of its failure, on one line."""
    said = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
    return str(said).strip().split("\n")[0].rstrip(".") or type(error).__name__


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its start to its end.

    soundfile seeks after every read where it can, which a streamed FLAC refuses at its end.
    """

    def seekable(self) -> bool:
        """No."""
        return False


class SndFile:
    """What libsndfile decodes."""

    def __init__(self, path: Path, link: Link) -> None:
        whole = link == Link(0, path.stat().st_size)
        with _hushed(path):
            self._file = _Forward(str(path) if whole else LinkFile(path, link))
        self.rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self._mpeg = self._file.format == "MP3"
        self._samples = self._file.frames if self._file.frames < UNKNOWN_SAMPLES else 0
        self.promised = self._samples / self.rate if self.rate else 0.0
        if self._file.frames >= UNKNOWN_SAMPLES:
            self.promised = float("inf")
        self._log = self._file.extra_info

    def read(self, count: int) -> Channels:
        """The next samples."""
        with _hushed(self._mpeg):
            samples: Channels = self._file.read(count, dtype="float32", always_2d=True)
        return samples

    def missing(self, samples: int) -> str:
        """Of an MP3 whose first frame counts more, or a WAV whose header promises more than there is."""
        match = re.search(r"^\s*data\s*:\s*(\d+) \(should be (\d+)\)", self._log, re.MULTILINE)
        if match and int(match[2]) < int(match[1]) < UNKNOWN_BYTES:
            return f"{match[2]} of {match[1]} bytes of sound"
        if self._samples - samples > MISSING * self.rate:
            return f"its header says {self.promised:.1f} s"
        return ""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


@contextlib.contextmanager
def _hushed(mpeg: Path | bool) -> Iterator[None]:
    """libmpg123 writes to standard error what it thinks of frames that everybody else plays."""
    if mpeg is True or (isinstance(mpeg, Path) and mpeg.suffix.lower() not in {".wav", ".flac"}):
        with quiet():
            yield
    else:
        yield


class AvFile:
    """What FFmpeg decodes: the first sound in a film, too."""

    def __init__(self, path: Path) -> None:
        """ModuleNotFoundError if PyAV is not installed; one of its own errors if FFmpeg finds no sound."""
        import av

        options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
        self._av = av
        with self._own_errors():
            self._container = av.open(
                f"file:{path}", container_options=options, metadata_errors="replace"
            )
        if not self._container.streams.audio:
            raise ValueError("holds no sound")
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("sound of a kind that FFmpeg does not decode")
        self.rate, self.channels = (
            int(stream.codec_context.sample_rate),
            int(stream.codec_context.layout.nb_channels),
        )
        length = (
            float(stream.duration * stream.time_base)
            if stream.duration and stream.time_base
            else 0.0
        )
        self.promised = length or (self._container.duration or 0) / 1e6 or float("inf")
        self._frames = self._container.decode(stream)
        self._resampler: Any = None
        self._waiting = np.zeros((0, self.channels), np.float32)

    def read(self, count: int) -> Channels:
        """The next samples."""
        pieces, have = [self._waiting], len(self._waiting)
        with self._own_errors():
            while have < count and (frame := next(self._frames, None)) is not None:
                piece = self._samples(frame)
                pieces.append(piece)
                have += len(piece)
        samples = np.concatenate(pieces)
        self._waiting = samples[count:]
        return samples[:count]

    @contextlib.contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Of PyAV's errors some are kinds of OSError and ValueError, and some are neither."""
        try:
            yield
        except self._av.FFmpegError as error:
            raise ValueError(error.strerror) from None

    def _samples(self, frame: Any) -> Channels:
        if self._resampler is None:  # to floats, no more: as many channels, at the same rate
            self._resampler = self._av.AudioResampler("flt", frame.layout, frame.sample_rate)
        pieces = [
            piece.to_ndarray().reshape(-1, self.channels)
            for piece in self._resampler.resample(frame)
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.channels), np.float32)

    def missing(self, samples: int) -> str:
        """Of a file whose header promises more than there is."""
        if self.promised < float("inf") and self.promised - samples / self.rate > MISSING_AV:
            return f"its header says {self.promised:.1f} s"
        return ""

    def close(self) -> None:
        """Closes the file."""
        self._container.close()
