"""What every voice can do. A package of your own can add voices: see `voices.py`."""

from __future__ import annotations

import random
from typing import Protocol

from ds2edge.runtime.features import Samples

RATE = 16000  # Hz


class Voice(Protocol):
    """One way of speaking. Each process of a job gets its own copy, so a voice can be pickled."""

    @property
    def name(self) -> str:
        """Engine, hyphen and voice: "flite-rms". The part before the first hyphen is the engine."""

    @property
    def licence(self) -> str:
        """Licence of the voice, which the card of a model trained on it names."""

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text` and returns mono samples at `RATE`.

        `rng` varies speed, pitch and vocal tract. The same state of `rng` should give the same
        samples, so that a job can be repeated. ValueError, with the reason, if the text cannot be
        said.
        """
