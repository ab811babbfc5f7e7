"""Shows a level meter and the text so far on one line of the terminal."""

from __future__ import annotations

import shutil
import sys

import click
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.level import FULL_SCALE, decibels

METER_WIDTH = 10  # characters
METER_FLOOR = -60.0  # dBFS at which the meter is empty
# Share of the last level that stays from block to block, so that the meter falls slowly.
METER_DECAY = 0.8
CLEAR_LINE = "\r\x1b[K"


class LiveLine:
    """A line on standard error that is drawn again and again. Draws only on a terminal."""

    def __init__(self) -> None:
        self._enabled = sys.stderr.isatty()
        self._level = METER_FLOOR

    def draw(self, samples: npt.NDArray[np.generic], text: str) -> None:
        """Draws the level of the newest samples and the text; a long text is cut at its start."""
        if not self._enabled:
            return
        level = loudest_channel_level(samples)
        self._level = max(level, METER_DECAY * self._level + (1 - METER_DECAY) * level)
        clipped = len(samples) > 0 and float(np.abs(to_float(samples)).max()) >= FULL_SCALE
        bar = meter(self._level) + ("!" if clipped else "")
        width = shutil.get_terminal_size().columns - METER_WIDTH - 4
        tail = text if len(text) <= width else "…" + text[len(text) - width + 1 :]
        click.echo(f"{CLEAR_LINE}{bar} {tail}", err=True, nl=False)

    def clear(self) -> None:
        """Removes the line, so that something else can be printed."""
        if self._enabled:
            click.echo(CLEAR_LINE, err=True, nl=False)


def loudest_channel_level(samples: npt.NDArray[np.generic]) -> float:
    """Returns the RMS level of the loudest channel in dBFS, at least `METER_FLOOR`."""
    if not len(samples):
        return METER_FLOOR
    power = float(np.square(to_float(samples), dtype=np.float64).mean(0).max())
    return max(METER_FLOOR, decibels(power))


def meter(level: float) -> str:
    """Returns a bar of `METER_WIDTH` characters for a level in dBFS."""
    filled = round(METER_WIDTH * min(1.0, max(0.0, 1 - level / METER_FLOOR)))
    bar = "█" * filled + "░" * (METER_WIDTH - filled)
    try:
        bar.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * filled + "." * (METER_WIDTH - filled)
    return bar
