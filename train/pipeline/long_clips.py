"""Clips that are too long to train on: a batch is padded to its longest, so that one of them takes all the memory."""

from __future__ import annotations

import logging

from ds2edge.train.data.manifest import Clip

log = logging.getLogger("ds2edge")

NAMED = 5  # clips that are named one by one


def without_long(clips: list[Clip], most: float) -> list[Clip]:
    """The clips of at most so many seconds; the others are named and counted."""
    kept = [clip for clip in clips if clip.duration <= most]
    left_out = [clip for clip in clips if clip.duration > most]
    for clip in left_out[:NAMED]:
        log.warning(
            "left out: %s: %.0f s, and all clips of its batch would be padded to that",
            clip.audio,
            clip.duration,
        )
    if left_out:
        log.warning(
            "left out %d of %d clips of more than %g s: cut them, or raise --max-seconds",
            len(left_out),
            len(clips),
            most,
        )
    return kept
