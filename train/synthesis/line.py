"""A sentence to say, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A sentence to say."""

    text: str
    kind: str = ""  # what the sentence is for, such as "phrase"; copied into the manifest
    split: str = "train"
    weight: float = 1.0  # factor of the loss in training
