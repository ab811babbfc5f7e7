"""How confident phrases are in speech that says none: synthetic clips and real recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2edge.convert.specialise.measure import Answer
from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.false_accepts import confidences
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.train.progress import track
from ds2edge.train.words.sentences import OTHER


@dataclass(frozen=True)
class OtherSpeech:
    """How confident the phrases are in recordings that say none."""

    confidences: tuple[float, ...]
    hours: float

    def __add__(self, other: OtherSpeech) -> OtherSpeech:
        return OtherSpeech(self.confidences + other.confidences, self.hours + other.hours)

    def accepted(self, threshold: float) -> int:
        """Number of false accepts."""
        return sum(confidence >= threshold for confidence in self.confidences)


def synthetic_speech(answers: Sequence[Answer]) -> OtherSpeech:
    """The clips of other speech among the answers."""
    others = [answer for answer in answers if answer.kind == OTHER]
    return OtherSpeech(
        tuple(answer.confidence for answer in others if answer.text),
        sum(answer.duration for answer in others) / 3600,
    )


def recorded_speech(recognizer: Recognizer, paths: Sequence[str], *, test: bool) -> OtherSpeech:
    """The phrases in recordings of other speech: sound files, or folders of them.

    Every second file is for the test, and the others are for the threshold. A single file is for
    both. The phrases of the recogniser must have `min_confidence` 0. InputError for recordings
    without sound.
    """
    files = expand_folders(map(Path, paths))
    chosen = (files[1::2] if test else files[::2]) or files
    found, hours = confidences(recognizer, track(chosen, "other speech", len(chosen)))
    if not hours:
        raise InputError(f"{paths[0]}: has no sound: give recordings of other speech")
    return OtherSpeech(tuple(found), hours)
