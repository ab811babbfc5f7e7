"""The models that come with the kit: English speech, and a language model of English."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# docs/model-card.md describes it. The interpreter of 32-bit Arm needs a file of its own.
_NAME = (
    "pretrained-armv7.tflite" if platform.machine() in {"armv7l", "armv8l"} else "pretrained.tflite"
)
PRETRAINED = Path(__file__).with_name(_NAME)
LANGUAGE_MODEL = Path(__file__).with_name("pretrained.ds2lm")


def model_path(model: str | os.PathLike[str]) -> Path:
    """The file of a model; the word `pretrained` names the one that comes with the kit."""
    return _resolve(model, PRETRAINED)


def language_model_path(language_model: str | os.PathLike[str]) -> Path:
    """The file of a language model; the word `pretrained` names the one that comes with the kit."""
    return _resolve(language_model, LANGUAGE_MODEL)


def _resolve(given: str | os.PathLike[str], bundled: Path) -> Path:
    path = Path(given)
    return bundled if path == Path("pretrained") and not path.is_file() else path
