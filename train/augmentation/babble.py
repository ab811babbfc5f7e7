"""Babble: several people talk at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.sound_files import draw_file, read_piece

MIXES = 60  # a process makes each one once, and keeps 38 MB at 16 kHz
SECONDS = 10  # of a mix
TALKERS = (3, 12)
LEVEL_DB = (-10.0, 0.0)  # of a talker
LEAST_LOUDNESS = 1e-4  # a quieter clip stays quieter than the others
MOST_PAUSE = 0.5  # seconds between the clips of a talker


def draw_babble(size: int, rate: int, folder: str, rng: np.random.Generator) -> Samples:
    """Draws babble, float32 [size] at `rate` Hz, from the clips of a folder of speech.

    It starts at a random place of a mix, which is repeated if it is too short. InputError if the
    folder has no sound file that can be read.
    """
    mix = mixed_talkers(int(rng.integers(MIXES)), folder, rate)
    babble: Samples = mix[(rng.integers(len(mix)) + np.arange(size)) % len(mix)]
    return babble


@lru_cache(maxsize=MIXES)
def mixed_talkers(number: int, folder: str, rate: int) -> Samples:
    """Mix number `number` of a folder: always the same clips at the same times and levels."""
    rng = np.random.default_rng(number)
    size = SECONDS * rate
    mix = np.zeros(size, np.float32)
    for _ in range(rng.integers(TALKERS[0], TALKERS[1] + 1)):
        gain = np.float32(10 ** (rng.uniform(*LEVEL_DB) / 20))
        talker = np.zeros(size, np.float32)
        place = 0
        while place < size:
            clip = read_piece(draw_file(folder, rng), 0, rate)[: size - place]
            loudness = np.float32(max(np.sqrt(np.mean(clip**2)), LEAST_LOUDNESS))
            talker[place : place + len(clip)] = clip * (gain / loudness)
            place += len(clip) + int(rng.uniform(0, MOST_PAUSE) * rate)
        mix += np.roll(talker, rng.integers(size))  # so that not all of them begin at once
    mix.flags.writeable = False  # the cache returns this array again
    return mix
