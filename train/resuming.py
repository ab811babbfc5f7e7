"""What must not change when a training goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.train.recipe import Recipe


def require_same(folder: Path, begun: Recipe, given: Recipe) -> None:
    """InputError, with what differs and how to train on, for another recipe than that of the run in `folder`.

    The learning rate falls to zero over the epochs that a training begins with: more of them is another training.
    """
    differences = list(_differences(dataclasses.asdict(begun), dataclasses.asdict(given)))
    if not differences:
        return
    named = "; ".join(
        f"{name} is {old!r} there and {new!r} here" for name, old, new in differences[:3]
    )
    more = given.training.epochs - begun.training.epochs
    epochs = f" --epochs {more}" if more > 0 else ""
    raise InputError(
        f"{folder}: was begun with another recipe: {named}: give the same, or train on in a new folder with "
        f"-o NEW --init-from {folder}{epochs}"
    )


def _differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for name, value in old.items():
        if isinstance(value, dict) and isinstance(new[name], dict):
            yield from _differences(value, new[name], f"{prefix}{name}.")
        elif value != new[name]:
            yield f"{prefix}{name}", value, new[name]
