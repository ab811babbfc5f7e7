"""Which voices train a model, and which are kept apart to choose its threshold and to test it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ds2edge.train.synthesis.voices import engine_of

LEAST_OF_ENGINE = 3  # an engine with fewer voices lends none to dev or test
VOICES_PER_HELD_OUT = 8  # of an engine with more voices, one in so many goes to dev, one to test


@dataclass(frozen=True)
class VoiceGroups:
    """Names of voices by the split that they say."""

    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def apart(self) -> bool:
        """Whether no voice of dev or test is trained on."""
        return not set(self.train) & {*self.dev, *self.test}


def group_voices(names: Sequence[str]) -> VoiceGroups:
    """Divides the voices of each engine among the splits. The same names give the same groups.

    Without an engine of at least three voices, voices of all engines are divided together. Of two
    voices, one is for both dev and test. A single voice is for all splits.
    """
    engines: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        engines[engine_of(name)].append(name)
    pools = [pool for pool in engines.values() if len(pool) >= LEAST_OF_ENGINE]
    if not pools:
        pools = [sorted(names)]
    dev: list[str] = []
    test: list[str] = []
    for pool in pools:
        held_out = _draw(pool)
        half = len(held_out) // 2
        dev += held_out[:half] or held_out
        test += held_out[half:]
    train = [name for name in sorted(names) if name not in {*dev, *test}]
    return VoiceGroups(tuple(train or names), tuple(sorted(dev)), tuple(sorted(test)))


def _draw(pool: list[str]) -> list[str]:
    """Voices of a pool for dev and test: an even number, or one of a pool of two voices or one."""
    count = 2 * max(1, len(pool) // VOICES_PER_HELD_OUT) if len(pool) > 2 else 1
    return random.Random("held out").sample(pool, count)
