"""A piece of live sound, as microphones, pipes and files in real time give it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError

POLL_SECONDS = 0.2  # between two checks whether a source is to stop


@dataclass(frozen=True)
class Block:
    """A piece of live sound."""

    samples: npt.NDArray[np.generic]  # [n] or [n, channels], int16, int32 or float
    rate: int  # Hz
    captured: float  # time.monotonic() when its last sample was recorded

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate

    def select_channel(self, channel: int) -> Block:
        """Returns one channel, counted from 1. Raises InputError if there are fewer."""
        channels = 1 if self.samples.ndim == 1 else self.samples.shape[1]
        if channel > channels:
            raise InputError(f"the sound has no channel {channel}: the highest is {channels}")
        samples = self.samples if self.samples.ndim == 1 else self.samples[:, channel - 1]
        return Block(samples, self.rate, self.captured)
