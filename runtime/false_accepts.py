"""How confident phrases are in speech that says none, and which confidence rejects them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.recognizer import Recognizer

STEP = 0.0001  # confidences are rounded to it


def confidences(recognizer: Recognizer, files: Iterable[Path]) -> tuple[list[float], float]:
    """Returns the confidence of every phrase in the recordings, and the hours of sound.

    The recogniser must reject nothing: its phrases have `min_confidence` 0.
    """
    found: list[float] = []
    durations: list[float] = []
    for path in files:
        utterances = recognizer.utterances(path, progress=durations.append)
        found += [utterance.confidence for utterance in utterances]
    return found, sum(durations) / 3600


def least_confidence(found: Iterable[float], allowed: int) -> float:
    """Returns the least confidence that at most `allowed` of the phrases reach."""
    ordered = sorted(found, reverse=True)
    if len(ordered) <= allowed:
        return 0.0
    least = round(ordered[allowed] + STEP, 4)
    if least > 1:
        raise InputError("other speech is accepted with confidence 1: use longer phrases")
    return least


def upper_bound(accepted: int, hours: float) -> float:
    """Returns the 95 % upper bound of the false accepts an hour (Wilson and Hilferty 1931).

    The approximation is within 1 %. Zero accepts in H hours give 3 / H.
    """
    events = accepted + 1
    root = 1 - 1 / (9 * events) + 1.6449 / (3 * math.sqrt(events))
    return events * root**3 / hours
