"""Warnings about the level of a recording."""

import numpy as np
import pytest
from support import RATE, babble

from ds2edge.runtime.audio.level import LevelMeter, LiveLevelMonitor

SILENCE = np.zeros(20 * RATE, np.float32)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (babble(2.0), ""),
        (np.concatenate([babble(1.0), SILENCE]), ""),  # pauses do not count
        (10 ** (-40 / 20) * babble(2.0), "is very quiet (-"),
        (10 ** (-40 / 20) * babble(2.0) + np.float32(0.3), "is very quiet (-"),  # an offset
        (SILENCE, "is silent"),
        (np.clip(20 * babble(2.0), -1, 1), "is clipped ("),
        (32768 * babble(2.0), "times full scale"),
        (np.zeros(0, np.float32), ""),
    ],
)
@pytest.mark.parametrize("block", [1600, RATE])
def test_each_problem_has_its_warning(samples, expected, block):
    level = LevelMeter(RATE)
    for first in range(0, len(samples), block):
        level.add(samples[first : first + block])
    assert expected in level.warning()
    assert bool(level.warning()) == bool(expected)


@pytest.mark.parametrize(
    ("samples", "seconds", "expected"),
    [
        (babble(1.0), 100, ""),
        (0.001 * babble(1.0), 50, ""),  # perhaps nobody has spoken yet
        (0.001 * babble(1.0), 70, "is very quiet"),
        (np.zeros((RATE, 2), np.int16), 5, ""),
        (np.zeros((RATE, 2), np.int16), 30, "is silent"),
        (np.clip(20 * babble(1.0), -1, 1), 30, "is clipped"),
    ],
)
def test_live_sound_is_warned_about_once(samples, seconds, expected):
    monitor = LiveLevelMonitor()
    warnings = list(filter(None, (monitor.warning(samples, RATE) for _ in range(seconds))))
    assert len(warnings) == bool(expected)
    assert expected in "".join(warnings)
