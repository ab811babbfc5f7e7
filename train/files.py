"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ds2edge.runtime.errors import InputError


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes bytes, or text as UTF-8, beside `path` and renames it: a reader or an interruption never meets half of it.

    Makes the folder. InputError if it cannot be written: the disk is full, say.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.replace(path)
    except OSError as error:
        reason = f"{path}: cannot be written ({error.strerror})"
        raise InputError(f"{reason}: make room, or choose another folder") from None
