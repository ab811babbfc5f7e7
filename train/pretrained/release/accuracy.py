"""Error rates of a model, with any decoder, from cached logits."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.network import Logits
from ds2edge.runtime.specification import Specification, read_specification
from ds2edge.train.evaluation.scoring import Score, align, bootstrap_interval, score
from ds2edge.train.pretrained.release.logits import LogitCache
from ds2edge.train.pretrained.release.recordings import AS_RECORDED, ClipSet, Condition
from ds2edge.train.progress import track

Interval = tuple[float, float]


@dataclass
class Measured:
    """A rate in percent with its 95 % interval, or the difference of two in points."""

    value: float
    interval: Interval

    @classmethod
    def of(cls, errors: npt.NDArray[Any], out_of: npt.NDArray[Any]) -> Measured:
        """Sum of errors over sum of `out_of`, both by clip."""
        return cls(100 * float(errors.sum() / out_of.sum()), bootstrap_interval(errors, out_of))

    @classmethod
    def wer(cls, result: Score) -> Measured:
        """The word error rate."""
        return cls.of(result.word_errors, result.words)

    @classmethod
    def wer_difference(cls, result: Score, reference: Score) -> Measured:
        """The word error rate of `result` minus that of `reference` on the same clips."""
        return cls.of(result.word_errors - reference.word_errors, result.words)


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time for each second of audio, on one thread."""

    network: float  # front end included
    decoder: float


@dataclass
class CachedModel:
    """A model (.tflite) whose logits are cached, with its decoders by name."""

    model: Path
    cache: LogitCache
    decoders: Mapping[str, DecoderFactory] = field(default_factory=dict)
    # Text of each clip, and seconds of processor time, by decoder and condition.
    _decoded: dict[tuple[str, Condition], dict[Path, tuple[str, float]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @cached_property
    def _specification(self) -> Specification:
        return read_specification(self.model)

    def texts(
        self, clips: ClipSet, decoder: str = "greedy", condition: Condition = AS_RECORDED
    ) -> list[str]:
        """The transcripts of the clips; `decoder`: `greedy`, or one of `decoders`."""
        decoded = self._decoded[decoder, condition]
        new = [clip for clip in clips.clips if clip.audio not in decoded]
        label = f"{self.model.name}, {decoder}, {condition.title}: {len(new)} clips"
        recorded = self.cache.read(self.model, new, condition)
        for clip, each in zip(track(new, label, len(new)), recorded, strict=True):
            decoded[clip.audio] = self._decode(each.logits, decoder)
        return [decoded[clip.audio][0] for clip in clips.clips]

    def _decode(self, logits: Logits, name: str) -> tuple[str, float]:
        """The text, and the seconds of processor time."""
        factory = self.decoders.get(name, GreedyDecoder)
        started = time.process_time()
        decoder = factory(self._specification.alphabet, self._specification.step_seconds)
        decoder.accept(logits)
        text = " ".join(word.text for word in decoder.final_words())
        return text, time.process_time() - started

    def cost(self, clips: ClipSet, decoder: str) -> Cost:
        """What the transcripts of the clips cost."""
        self.texts(clips, decoder)
        recorded = list(self.cache.read(self.model, clips.clips))
        seconds = sum(each.seconds for each in recorded)
        decoded = self._decoded[decoder, AS_RECORDED]
        return Cost(
            sum(each.computing for each in recorded) / seconds,
            sum(decoded[clip.audio][1] for clip in clips.clips) / seconds,
        )

    def score(
        self, clips: ClipSet, decoder: str = "greedy", condition: Condition = AS_RECORDED
    ) -> Score:
        """The errors of each clip."""
        return score(clips.references, self.texts(clips, decoder, condition))


def wrong_first_words(references: Iterable[str], texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """1 for each clip whose first word is wrong or missing, otherwise 0."""
    wrong = []
    for reference, text in zip(references, texts, strict=True):
        first = next(pair for pair in align(reference, text) if pair[0])
        wrong.append(int(first[0] != first[1]))
    return np.array(wrong)
