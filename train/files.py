"""Folders for caches, reports and data: made, or refused, before the work starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ds2edge.runtime.errors import InputError


def cache_folder() -> Path:
    """The folder that DS2EDGE_CACHE names, else one in the user's home or among temporary files."""
    if named := os.environ.get("DS2EDGE_CACHE"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "ds2edge"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"ds2edge-{os.getuid()}"


def make_folder(folder: Path) -> None:
    """Makes a folder for output. InputError if it cannot be made, or no file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}): choose another folder"
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
