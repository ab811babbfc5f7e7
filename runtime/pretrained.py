"""The models that come with the kit, acoustic and of language, and the option of commands that take other ones."""

from __future__ import annotations

import platform
from pathlib import Path

import click

# English, streaming: docs/model-card.md. The interpreter of 32-bit Arm needs int8 of its own: see `ds2edge convert`.
_NAME = (
    "pretrained-armv7.tflite" if platform.machine() in {"armv7l", "armv8l"} else "pretrained.tflite"
)
PRETRAINED = Path(__file__).with_name(_NAME)
LANGUAGE_MODEL = Path(__file__).with_name("pretrained.ds2lm")  # of general English

model_option = click.option(
    "-m",
    "--model",
    default=PRETRAINED,
    show_default="the English one that comes with ds2edge",
    envvar="DS2EDGE_MODEL",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="A .tflite file made by `ds2edge convert`.",
)
