"""Reads and writes whole files. A reader never sees half of what is written."""

from __future__ import annotations

from pathlib import Path

from ds2edge.runtime.errors import InputError


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8. InputError if it cannot be read or has another encoding."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None


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
