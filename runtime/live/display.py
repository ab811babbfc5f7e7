"""What a person sees while the kit listens: a level meter and the words so far, on one line that is drawn over."""

from __future__ import annotations

import shutil
import sys

import click
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.level import FULL_SCALE

METER = 10  # characters
QUIETEST = -60.0  # dB below full scale at which the meter begins
HOLD = 0.8  # of the last level stays from block to block, so that the meter falls slowly


class LiveLine:
    """The line on standard error. Nothing is drawn where that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._level = QUIETEST

    def draw(self, samples: npt.NDArray[np.generic], text: str) -> None:
        """The level of the newest sound, and the text so far: its end, where it is too long for the line."""
        if not self._shown:
            return
        level = decibels(samples)
        self._level = max(level, HOLD * self._level + (1 - HOLD) * level)
        clipped = len(samples) > 0 and float(np.abs(to_float(samples)).max()) >= FULL_SCALE
        bar = meter(self._level) + ("!" if clipped else "")
        room = shutil.get_terminal_size().columns - METER - 4
        tail = text if len(text) <= room else "…" + text[len(text) - room + 1 :]
        click.echo(f"\r\x1b[K{bar} {tail}", err=True, nl=False)

    def clear(self) -> None:
        """Takes the line away, before something else is printed."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def decibels(samples: npt.NDArray[np.generic]) -> float:
    """Root mean square level of the loudest channel in dB of full scale, at least `QUIETEST`."""
    power = (
        float(np.square(to_float(samples), dtype=np.float64).mean(0).max()) if len(samples) else 0.0
    )
    return max(QUIETEST, 10 * float(np.log10(max(power, 1e-12))))


def meter(level: float) -> str:
    """A bar for a level in dB, `METER` characters wide."""
    full = round(METER * min(1.0, max(0.0, 1 - level / QUIETEST)))
    bar = "█" * full + "░" * (METER - full)
    try:
        bar.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * full + "." * (METER - full)
    return bar
