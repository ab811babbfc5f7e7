"""The layout of a model file: a flatbuffer, phrases if it has any, and a zip.

The zip holds the specification as JSON (TFLite metadata: associated files) and a checksum of all
that comes before the zip. Interpreters ignore what follows the flatbuffer. The phrases are a .ds2ph
file between the two. A runtime that does not know of them sees one longer flatbuffer, so it can
still use the file as a plain model.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from ds2edge.runtime.errors import InputError

SPECIFICATION = "ds2edge.json"
# The CRC-32 of what comes before the zip, in hexadecimal. Models that were converted before the kit
# wrote it have none.
CHECKSUM = "ds2edge.crc32"
MAX_BYTES = 1 << 22  # of a specification; `ds2edge convert` writes about a hundredth of that
# The last record of a zip: among others its signature, then size and offset of the directory.
END_RECORD = struct.Struct("<4s8xLL2x")
END_SIGNATURE = b"PK\x05\x06"
BROKEN_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
)


def read_specification_text(path: Path) -> bytes:
    """Returns the JSON text of the specification, and checks that what precedes it is undamaged.

    The check needs the checksum in the file; a file without one passes. InputError if there is no
    file, no specification in it, or the file is damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        with zipfile.ZipFile(path) as archive:
            text = _read_member(archive, SPECIFICATION, MAX_BYTES + 1)
            whole = _is_whole(archive, path)
    except BROKEN_ZIP_ERRORS:
        raise InputError(
            f"{path}: no ds2edge specification inside: "
            "the file is cut short or was not made by `ds2edge convert`"
        ) from None
    if not whole:
        raise InputError(f"{path}: is damaged: copy or convert the model again")
    if len(text) > MAX_BYTES:
        raise InputError(f"{path}: the specification inside has more than {MAX_BYTES} bytes")
    return text


def append_specification(file: IO[bytes], text: str | bytes) -> None:
    """Appends the zip, with the JSON text and a checksum, to an open file."""
    checksum = f"{_checksum(file, file.seek(0, os.SEEK_END)):08x}"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((SPECIFICATION, text), (CHECKSUM, checksum)):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def read_phrases(path: Path) -> bytes:
    """Returns the .ds2ph file inside a model file; empty if there is none, or no model file."""
    try:
        start, end = _span_of_phrases(path)
    except BROKEN_ZIP_ERRORS:  # `read_specification_text` names the problem
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def replace_phrases(path: Path, phrases: bytes) -> bytes:
    """Returns the bytes of a model file with other phrases inside: those of a .ds2ph file.

    InputError for the files that `read_specification_text` refuses.
    """
    text = read_specification_text(path)
    start, _ = _span_of_phrases(path)
    with path.open("rb") as file:
        changed = io.BytesIO(file.read(start) + phrases)
    append_specification(changed, text)
    return changed.getvalue()


def network_checksum(path: Path) -> str:
    """Returns the CRC-32 of the flatbuffer, in hexadecimal. It does not depend on the phrases."""
    start, _ = _span_of_phrases(path)
    with path.open("rb") as file:
        return f"{_checksum(file, start):08x}"


def _span_of_phrases(path: Path) -> tuple[int, int]:
    """Where the phrases begin and end: the same place if there are none."""
    with zipfile.ZipFile(path) as archive:
        end = max(0, archive.getinfo(SPECIFICATION).header_offset)  # below 0 in a damaged file
    last = end - END_RECORD.size
    if last < 0:
        return end, end
    with path.open("rb") as file:
        file.seek(last)
        signature, size, offset = END_RECORD.unpack(file.read(END_RECORD.size))
    start: int = last - size - offset
    return (start, end) if signature == END_SIGNATURE and start >= 0 else (end, end)


def _is_whole(archive: zipfile.ZipFile, path: Path) -> bool:
    """Whether the bytes before the zip have the checksum that the zip holds, if it holds one.

    False if the zip holds files that the kit does not write: their names may be damaged.
    """
    names = archive.namelist()
    if names == [SPECIFICATION]:
        return True
    if names != [SPECIFICATION, CHECKSUM]:
        return False
    expected = _read_member(archive, CHECKSUM, 8)
    with path.open("rb") as file:
        return expected == b"%08x" % _checksum(file, archive.getinfo(SPECIFICATION).header_offset)


def _read_member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    with archive.open(name) as member:
        return member.read(size)


def _checksum(file: IO[bytes], size: int) -> int:
    """CRC-32 of the first `size` bytes of a file, read in blocks: models are large for a board."""
    checksum = 0
    file.seek(0)
    while size and (block := file.read(min(size, 1 << 20))):
        size -= len(block)
        checksum = zlib.crc32(block, checksum)
    return checksum
