"""What is said of a level."""

import numpy as np
import pytest
from support import RATE, babble

from ds2edge.runtime.audio.level import LevelMeter, LiveLevelMonitor

PAUSES = np.zeros(20 * RATE, np.float32)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (babble(2.0), ""),
        (np.concatenate([babble(1.0), PAUSES]), ""),  # a pause is no quiet recording
        (10 ** (-40 / 20) * babble(2.0), "is very quiet (-"),
        (
            10 ** (-40 / 20) * babble(2.0) + np.float32(0.3),
            "is very quiet (-",
        ),  # a constant is no sound
        (PAUSES, "is silent"),
        (np.clip(20 * babble(2.0), -1, 1), "is clipped ("),
        (32768 * babble(2.0), "times full scale"),
        (np.zeros(0, np.float32), ""),
    ],
)
@pytest.mark.parametrize("block", [1600, RATE])
def test_remarks(samples, says, block):
    level = LevelMeter(RATE)
    for first in range(0, len(samples), block):
        level.add(samples[first : first + block])
    assert level.warning().startswith(says) or says in level.warning()
    assert bool(level.warning()) == bool(says)


@pytest.mark.parametrize(
    ("samples", "seconds", "says"),
    [
        (babble(1.0), 100, ""),
        (0.001 * babble(1.0), 50, ""),  # perhaps nobody speaks
        (0.001 * babble(1.0), 70, "is very quiet"),
        (np.zeros((RATE, 2), np.int16), 5, ""),
        (np.zeros((RATE, 2), np.int16), 30, "is silent"),
        (np.clip(20 * babble(1.0), -1, 1), 30, "is clipped"),
    ],
)
def test_live_sound_is_remarked_on_once(samples, seconds, says):
    watch = LiveLevelMonitor()
    said = [remark for _ in range(seconds) if (remark := watch.warning(samples, RATE))]
    assert len(said) == bool(says)
    assert says in "".join(said)
