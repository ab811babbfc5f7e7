"""Checks that a training continues with the recipe that it began with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.train.recipe import Recipe

NAMED = 3  # differences in the message


def require_same(folder: Path, begun: Recipe, given: Recipe) -> None:
    """InputError if the recipe `given` differs from the one that the run in `folder` began with.

    The message names the differences and the command for a new run. More epochs are a difference
    too, because the learning rate falls to zero over all of them.
    """
    differences = list(_differences(dataclasses.asdict(begun), dataclasses.asdict(given)))
    if not differences:
        return
    named = "; ".join(
        f"{name} is {old!r} there and {new!r} here" for name, old, new in differences[:NAMED]
    )
    more = given.training.epochs - begun.training.epochs
    epochs = f" --epochs {more}" if more > 0 else ""
    raise InputError(
        f"{folder}: was begun with another recipe: {named}: give the same, or train in a new "
        f"folder with -o NEW --init-from {folder}{epochs}"
    )


def _differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Name, old value and new value of each setting that differs."""
    for name, value in old.items():
        if isinstance(value, dict) and isinstance(new[name], dict):
            yield from _differences(value, new[name], f"{prefix}{name}.")
        elif value != new[name]:
            yield f"{prefix}{name}", value, new[name]
