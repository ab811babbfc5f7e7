"""Error rates of a model, with any decoder, from cached logits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.specification import read_specification
from ds2edge.train.evaluation.scoring import Score, align, bootstrap_interval, score
from ds2edge.train.pretrained.release.logits import LogitCache, Recorded
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


@dataclass
class CachedModel:
    """A model (.tflite) whose logits are cached."""

    model: Path
    cache: LogitCache
    decoders: Mapping[str, DecoderFactory] = field(default_factory=dict)
    # Seconds of processor time for each second of audio, by the name of the decoder.
    decoding_cost: dict[str, float] = field(default_factory=dict)
    _texts: dict[tuple[object, ...], list[str]] = field(default_factory=dict)

    def logits(self, clips: ClipSet, condition: Condition = AS_RECORDED) -> Recorded:
        """The logits of the clips, and what they cost."""
        return self.cache.read(self.model, clips.clips, condition)

    def texts(
        self, clips: ClipSet, decoder: str = "greedy", condition: Condition = AS_RECORDED
    ) -> list[str]:
        """The transcripts of the clips; `decoder`: `greedy`, or one of `decoders`."""
        key = (clips.title, len(clips.clips), decoder, condition)
        if key not in self._texts:
            factory = self.decoders.get(decoder, GreedyDecoder)
            recorded = self.logits(clips, condition)
            label = f"{decoder} on {len(clips.clips)} clips, {condition.title}"
            started = time.process_time()
            decoded = self.decode(track(recorded.logits, label, len(recorded.logits)), factory)
            self._texts[key] = list(decoded)
            spent = time.process_time() - started
            self.decoding_cost[decoder] = spent / recorded.seconds
        return self._texts[key]

    def decode(self, logits: Iterable[npt.NDArray[Any]], decoder: DecoderFactory) -> Iterator[str]:
        """The text of each clip."""
        specification = read_specification(self.model)
        for each in logits:
            decoding = decoder(specification.alphabet, specification.step_seconds)
            decoding.accept(each)
            yield " ".join(word.text for word in decoding.final_words())

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
