"""Logits of recordings, computed once and kept in a folder: every decoder works from them."""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zlib
from collections.abc import Iterable, Sequence
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
from ds2edge.train.progress import track


@dataclass(frozen=True)
class Recorded:
    """Logits of clips, and what they cost."""

    logits: list[Logits]  # of each clip
    seconds: float  # of audio
    computing: float  # seconds of processor time, of the front end and the network


class LogitCache:
    """A folder of logits."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first logits are written."""
        self._folder = folder

    def read(
        self, model: Path, clips: Sequence[Clip], condition: Condition = AS_RECORDED
    ) -> Recorded:
        """The logits of a model (.tflite) for these clips, from the folder or computed now.

        InputError if the model or a clip cannot be read.
        """
        path = self._folder / f"{_key(model, clips, condition)}.npz"
        if not path.exists():
            recorded = _record(model, clips, condition)
            buffer = io.BytesIO()
            np.savez(
                buffer,
                logits=np.concatenate(recorded.logits),
                steps=[len(logits) for logits in recorded.logits],
                times=[recorded.seconds, recorded.computing],
            )
            write_whole(path, buffer.getvalue())
        with np.load(path) as file:
            ends = np.cumsum(file["steps"])[:-1]
            seconds, computing = file["times"].tolist()
            return Recorded(np.split(file["logits"], ends), seconds, computing)


def _key(model: Path, clips: Iterable[Clip], condition: Condition) -> str:
    what = [[str(clip.audio) for clip in clips], dataclasses.asdict(condition)]
    model_crc = zlib.crc32(model.read_bytes())
    return f"{model_crc:08x}-{zlib.crc32(json.dumps(what).encode()):08x}"


def _record(model: Path, clips: Sequence[Clip], condition: Condition) -> Recorded:
    network = Network(model)
    rate = network.specification.features.sample_rate
    logits = []
    seconds = computing = 0.0
    label = f"{model.name} on {len(clips)} clips, {condition.title}"
    for clip in track(clips, label, len(clips)):
        samples = read_audio(clip.audio, rate)
        changed, changed_rate = condition.apply(samples, rate, clip.audio.name)
        started = time.process_time()
        collector = Collector((), 0.0)
        stream = Stream(network, collector)
        stream.accept(changed, changed_rate)
        stream.finish()
        computing += time.process_time() - started
        seconds += len(samples) / rate
        logits.append(np.concatenate(collector.logits))
    return Recorded(logits, seconds, computing)


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
