"""Chooses the least confidence of the phrases, on voices that were kept apart and other speech."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2edge.convert.specialise.measure import Answer
from ds2edge.convert.specialise.other_speech import OtherSpeech
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.false_accepts import STEP, least_confidence
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.runtime.records import from_dict
from ds2edge.train.words.sentences import OTHER, PHRASE

log = logging.getLogger("ds2edge")

POINTS = 101  # of the curves
# People say phrases far more often than sentences that resemble them.
SIMILAR_WEIGHT = 0.25
MUCH_LOST = 0.2  # share of the phrases


@dataclass(frozen=True)
class Threshold:
    """The least confidence, and what others would accept."""

    value: float
    for_other_speech: float  # the least value that meets the bound on false accepts
    # At POINTS confidences from 0 to 1:
    understood: tuple[float, ...]  # percent of the phrases
    similar_accepted: tuple[float, ...]  # percent of the similar sentences

    def save(self, path: Path) -> None:
        """Writes JSON that `load` reads."""
        write_whole(path, json.dumps(dataclasses.asdict(self)) + "\n")

    @classmethod
    def load(cls, path: Path) -> Threshold:
        """Reads a threshold. InputError if the file is damaged."""
        return from_dict(cls, json.loads(read_text(path)), str(path))


def choose_threshold(
    answers: Sequence[Answer], other: OtherSpeech, false_accepts: float
) -> Threshold:
    """The threshold that best divides phrases from similar sentences.

    Similar sentences are parts of phrases, phrases inside other sentences, and near misses. The
    threshold has the largest difference of the share of phrases that are understood and, with the
    weight SIMILAR_WEIGHT, the share of similar sentences that are accepted. It is never lower than
    what accepts at most `false_accepts` phrases in an hour of `other`. If no threshold meets this
    bound, a warning says so, and the bound is ignored.
    """
    floor = _least_for(other, false_accepts)
    phrases = [answer for answer in answers if answer.kind == PHRASE]
    similar = [answer for answer in answers if answer.kind not in (PHRASE, OTHER)]
    right = np.sort([answer.confidence for answer in phrases if answer.right])
    accepted = np.sort([answer.confidence for answer in similar if answer.text])
    # A threshold matters only where it rejects one answer more.
    candidates = np.unique([floor, *(c + STEP for c in accepted if floor < c + STEP <= 1)])
    understood = _share(right, candidates, len(phrases))
    gain = understood - SIMILAR_WEIGHT * _share(accepted, candidates, len(similar))
    value = float(candidates[gain.round(6).argmax()])  # the lowest of equals
    lost = 1 - float(_share(right, np.array([value]), len(right))[0]) / 100
    if right.size and lost > MUCH_LOST:
        log.warning(
            "the threshold %.2f rejects %.0f %% of the phrases that are recognised: make phrases "
            "longer, or raise --reject-at",
            value,
            100 * lost,
        )
    points = np.linspace(0, 1, POINTS)
    return Threshold(
        value=round(value, 4),
        for_other_speech=floor,
        understood=tuple(_share(right, points, len(phrases)).round(3).tolist()),
        similar_accepted=tuple(_share(accepted, points, len(similar)).round(3).tolist()),
    )


def _least_for(other: OtherSpeech, false_accepts: float) -> float:
    """The least confidence that accepts so few phrases an hour; 0 if there is none."""
    try:
        return least_confidence(other.confidences, int(false_accepts * other.hours))
    except InputError as error:
        log.warning("%s", error)
        return 0.0


def _share(ordered: np.ndarray, thresholds: np.ndarray, count: int) -> np.ndarray:
    """Percent of `count` that have at least each of the thresholds. `ordered`: confidences."""
    above = len(ordered) - np.searchsorted(ordered, thresholds)
    return 100 * above / max(count, 1)
