"""The pretrained models that come with the kit: English speech, and a language model of English."""

from __future__ import annotations

import platform
from pathlib import Path

# docs/model-card.md describes it. The interpreter of 32-bit Arm needs an int8 file of its own.
_NAME = (
    "pretrained-armv7.tflite" if platform.machine() in {"armv7l", "armv8l"} else "pretrained.tflite"
)
PRETRAINED = Path(__file__).with_name(_NAME)
LANGUAGE_MODEL = Path(__file__).with_name("pretrained.ds2lm")
