"""Which clips a training leaves out: long ones, since every batch is padded to its longest."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.skipped import NAMED

log = logging.getLogger("ds2edge")


@dataclass(frozen=True)
class ClipLimits:
    """What a training accepts of its data."""

    max_seconds: float = math.inf  # longer clips are left out
    skip_bad: bool = False  # any number of unusable clips is skipped


NO_LIMITS = ClipLimits()


def without_long(clips: list[Clip], max_seconds: float) -> list[Clip]:
    """The clips of at most so many seconds. The others are counted, and the first five named."""
    short = [clip for clip in clips if clip.duration <= max_seconds]
    long = [clip for clip in clips if clip.duration > max_seconds]
    for clip in long[:NAMED]:
        log.warning(
            "left out: %s: %.0f s; every clip of its batch would be padded to that length",
            clip.audio,
            clip.duration,
        )
    if long:
        log.warning(
            "left out %d of %d clips of more than %g s: cut them, or raise --max-seconds",
            len(long),
            len(clips),
            max_seconds,
        )
    return short
