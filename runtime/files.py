"""Reads and writes whole files. A reader never sees half of what is written."""

from __future__ import annotations

import codecs
import contextlib
import zipfile
from pathlib import Path

from ds2edge.runtime.errors import InputError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A zip may expand to so many bytes, or to so many times its own size: more is a zip bomb.
MAX_EXPANDED_BYTES = 1 << 24
MAX_EXPANSION = 100


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8, or in UTF-16 with a byte order mark, as Windows writes it.

    Line ends become \\n. InputError if the file cannot be read or has another encoding.
    """
    try:
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig"
        text = content.decode(encoding)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8: save it in that encoding") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        reason = f"{path}: cannot be written ({error.strerror})"
        raise InputError(f"{reason}: make room, or choose another folder") from None


def refuse_zip_bomb(archive: zipfile.ZipFile) -> None:
    """Raises zipfile.BadZipFile if the members are far larger than their compressed bytes."""
    members = archive.infolist()
    expanded = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if expanded > max(MAX_EXPANDED_BYTES, MAX_EXPANSION * packed):
        raise zipfile.BadZipFile(f"{packed} bytes would expand to {expanded}")
