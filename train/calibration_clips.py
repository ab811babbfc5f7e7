"""Chooses the clips that int8 ranges are calibrated on, and checks that they hold speech."""

from __future__ import annotations

import logging

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.train.data.manifest import Clip

log = logging.getLogger("ds2edge")

CLIPS = 100  # enough: more widen no range that matters
SEED = 1
MIN_SECONDS = 30.0  # of speech; the ranges of less depend too much on its few words
SILENT_PEAK = 10 ** (-50 / 20)  # a clip below this peak holds no speech
FULL_SCALE = 0.999
CLIPPED_SHARE = 1e-3  # share of samples at full scale above which a clip is distorted


def choose_clips(clips: list[Clip], splits: tuple[str, ...]) -> list[Clip]:
    """At most `CLIPS` random clips of the first of `splits` that has any.

    InputError if none has.
    """
    for split in splits:
        if chosen := [clip for clip in clips if clip.split == split]:
            order = np.random.default_rng(SEED).permutation(len(chosen))[:CLIPS]
            return [chosen[i] for i in sorted(order)]
    raise InputError("there is no clip to calibrate on: give a manifest of real speech")


def check_speech(clips: list[Clip], sounds: list[Samples], rate: int) -> None:
    """Warns of clips that are few, partly silent or distorted. InputError if all are silent.

    `sounds`: the samples of each clip, at `rate` Hz.
    """
    pairs = list(zip(clips, sounds, strict=True))
    silent = [clip for clip, samples in pairs if np.abs(samples).max(initial=0) < SILENT_PEAK]
    if len(silent) == len(clips):
        raise InputError(
            f"all {len(clips)} clips to calibrate on are silent ({silent[0].audio}, ...): "
            "give real speech"
        )
    seconds = sum(map(len, sounds)) / rate
    if seconds < MIN_SECONDS:
        log.warning(
            "only %.1f s of speech in %d clips to calibrate on: other voices will exceed the "
            "ranges; give a few minutes of speech",
            seconds,
            len(clips),
        )
    distorted = [
        clip for clip, samples in pairs if (np.abs(samples) >= FULL_SCALE).mean() > CLIPPED_SHARE
    ]
    for fault, faulty in (("silent", silent), ("clipped", distorted)):
        if len(faulty) > len(clips) // 10:
            log.warning(
                "%d of %d clips to calibrate on are %s: %s, ...",
                len(faulty),
                len(clips),
                fault,
                faulty[0].audio,
            )
