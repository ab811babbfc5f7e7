"""Piper: the voices that you have downloaded.

PIPER_VOICES names their folder. Each voice is a file .onnx with a file .onnx.json beside it. Piper
draws noise that cannot be seeded, so a clip that is made again differs a little.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from ds2edge.runtime.features import Samples
from ds2edge.runtime.files import read_text
from ds2edge.train.synthesis.voice import RATE


@dataclass(frozen=True)
class PiperVoice:
    """A voice of Piper, or one speaker of a voice that has several."""

    model: Path
    speaker: int | None
    licence: str = "see its MODEL_CARD"

    @property
    def name(self) -> str:
        """Such as "piper-en_US-joe-medium", or "piper-en_GB-vctk-medium-17" for a speaker."""
        return f"piper-{self.model.stem}" + ("" if self.speaker is None else f"-{self.speaker}")

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text`. Resampling varies pitch and vocal tract."""
        from piper import SynthesisConfig

        factor = rng.uniform(0.93, 1.07)
        config = SynthesisConfig(
            speaker_id=self.speaker,
            length_scale=rng.uniform(0.85, 1.15) * factor,  # resampling divides the duration
        )
        pieces = list(_load(self.model).synthesize(text, config))
        sound = np.concatenate([piece.audio_float_array for piece in pieces])
        samples: Samples = soxr.resample(sound, pieces[0].sample_rate * factor, RATE)
        return samples


def voices() -> list[PiperVoice]:
    """The voices in the folder that PIPER_VOICES names, if piper-tts is installed."""
    folder = os.environ.get("PIPER_VOICES")
    if not folder or not importlib.util.find_spec("piper"):
        return []
    return [voice for model in sorted(Path(folder).rglob("*.onnx")) for voice in _speakers(model)]


def _speakers(model: Path) -> list[PiperVoice]:
    settings = json.loads(read_text(model.with_name(f"{model.name}.json")))
    count = settings.get("num_speakers", 1)
    return (
        [PiperVoice(model, speaker) for speaker in range(count)]
        if count > 1
        else [PiperVoice(model, None)]
    )


@functools.cache
def _load(model: Path) -> Any:
    from piper import PiperVoice as Engine

    return Engine.load(model)
