"""Logits of recordings, computed once and kept in a folder: every decoder works from them."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.decoding.ctc import Decoder, Word
from ds2edge.runtime.files import write_whole
from ds2edge.runtime.network import Logits, Network
from ds2edge.runtime.stream import Stream
from ds2edge.train.data.manifest import Clip
from ds2edge.train.pretrained.release.recordings import AS_RECORDED, Condition


@dataclass(frozen=True)
class Recorded:
    """Logits of a clip, and what they cost."""

    logits: Logits
    seconds: float  # of audio
    computing: float  # seconds of processor time, of the front end and the network


class LogitCache:
    """A folder with a file for each model, condition and clip."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first logits are written."""
        self._folder = folder

    def read(
        self, model: Path, clips: Iterable[Clip], condition: Condition = AS_RECORDED
    ) -> Iterator[Recorded]:
        """The logits of a model (.tflite) for each of the clips, from the folder or computed now.

        InputError if the model or a clip cannot be read.
        """
        network = None
        place = f"{_crc(model.read_bytes())}-{_crc(repr(condition).encode())}"
        for clip in clips:
            path = self._folder / place / f"{_crc(str(clip.audio).encode())}.npz"
            if not path.exists():
                network = network or Network(model)
                _write(path, _record(network, clip, condition))
            with np.load(path) as file:
                yield Recorded(file["logits"], *file["times"].tolist())


def _crc(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


def _write(path: Path, recorded: Recorded) -> None:
    buffer = io.BytesIO()
    times = [recorded.seconds, recorded.computing]
    np.savez(buffer, logits=recorded.logits, times=times)
    write_whole(path, buffer.getvalue())


def _record(network: Network, clip: Clip, condition: Condition) -> Recorded:
    rate = network.specification.features.sample_rate
    samples = read_audio(clip.audio, rate)
    changed, changed_rate = condition.apply(samples, rate, clip.audio.name)
    started = time.process_time()
    collector = Collector((), 0.0)
    stream = Stream(network, collector)
    stream.accept(changed, changed_rate)
    stream.finish()
    computing = time.process_time() - started
    return Recorded(np.concatenate(collector.logits), len(samples) / rate, computing)


class Collector(Decoder):
    """Takes logits in place of decoding them."""

    description = "none"
    empty = True

    def __init__(self, alphabet: Sequence[str], step_seconds: float) -> None:
        """The arguments are those of every decoder."""
        super().__init__(alphabet, step_seconds)
        self.logits: list[Logits] = []

    def accept(self, logits: Logits) -> None:
        """Keeps the next logits, float32 [steps, symbols]."""
        self.logits.append(np.array(logits))

    def words(self) -> list[Word]:
        """No words."""
        return []

    def take(self, open_word: bool = True) -> list[Word]:
        """No words."""
        return []
