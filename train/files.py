"""Folders for reports and runs: made, or refused, before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from ds2edge.runtime.errors import InputError


def make_folder(folder: Path) -> None:
    """Makes the folder of a report, before the work starts. InputError if that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot hold a report ({error.strerror}): choose another folder"
        ) from None


def require_place_for(folder: Path) -> None:
    """InputError if `folder` cannot be made, or cannot be written. Leaves no trace."""
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    if not existing.is_dir():
        raise InputError(f"{folder}: {existing} is not a folder: choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: {existing} cannot be written: choose another folder")
