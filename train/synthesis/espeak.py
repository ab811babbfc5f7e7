"""espeak-ng: voices made of formants, without recordings. The program must be on the path."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass

from ds2edge.runtime.features import Samples
from ds2edge.train.synthesis.program import run_program

ACCENTS = ("en-us", "en-gb", "en-gb-scotland")
VARIANTS = ("m1", "m3", "m7", "f2", "f4")


@dataclass(frozen=True)
class EspeakVoice:
    """An accent and a variant of espeak-ng."""

    accent: str
    variant: str
    licence: str = "GPL-3.0-or-later"  # of the program, not of what it says

    @property
    def name(self) -> str:
        """Such as "espeak-en-us-m3"."""
        return f"espeak-{self.accent}-{self.variant}"

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text` with its own pitch and speed. Resampling varies the vocal tract."""
        speed = rng.randint(130, 190)  # words a minute
        pitch = rng.randint(30, 70)  # of 0 to 99
        factor = rng.uniform(0.94, 1.08)
        command = ["espeak-ng", "-v", f"{self.accent}+{self.variant}", "-s", str(speed)]
        return run_program([*command, "-p", str(pitch), "--stdout", "--", text], factor)


def voices() -> list[EspeakVoice]:
    """All voices, if the program is installed."""
    if not shutil.which("espeak-ng"):
        return []
    return [EspeakVoice(accent, variant) for accent in ACCENTS for variant in VARIANTS]
