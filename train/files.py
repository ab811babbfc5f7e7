"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

from ds2edge.runtime.errors import InputError


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes bytes, or text as UTF-8, to a temporary file and renames it to `path`.

    Makes the folder if needed. InputError if the file cannot be written, such as on a full disk.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        reason = f"{path}: cannot be written ({error.strerror})"
        raise InputError(f"{reason}: make room, or choose another folder") from None


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
