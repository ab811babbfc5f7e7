"""CMU Flite: small American and Scottish voices. The program must be on the path."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass

from ds2edge.runtime.features import Samples
from ds2edge.train.synthesis.program import run_program

VOICES = ("awb", "rms", "slt")  # not kal and kal16, which are hard to understand


@dataclass(frozen=True)
class FliteVoice:
    """A voice of flite."""

    voice: str
    licence: str = "BSD-like"

    @property
    def name(self) -> str:
        """Such as "flite-rms"."""
        return f"flite-{self.voice}"

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text`. Resampling varies pitch and vocal tract."""
        factor = rng.uniform(0.88, 1.15)
        stretch = rng.uniform(0.85, 1.15) * factor  # resampling divides the duration by the factor
        command = ["flite", "-voice", self.voice, "--setf", f"duration_stretch={stretch:.3f}"]
        return run_program([*command, "-o", "/dev/stdout", "-t", text], factor)


def voices() -> list[FliteVoice]:
    """All voices, if the program is installed."""
    return [FliteVoice(voice) for voice in VOICES] if shutil.which("flite") else []
