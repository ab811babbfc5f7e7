"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

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
