"""Copies sound from a pipe into a temporary file, since decoders need to seek."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError

STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")


def copy_of_pipe(path: Path) -> Any:
    """Returns an open temporary file with the bytes of a pipe; None if `path` is a file.

    The temporary file is deleted when it is closed or collected. Raises InputError if `path` is
    missing, a folder or a device, or if it gives no bytes.
    """
    if str(path) in STANDARD_INPUT:
        _require_standard_input(path)
        return _copy(path)
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return _copy(path)
    kind = "folder" if stat.S_ISDIR(mode) else "device"
    raise InputError(f"{path}: is a {kind}, not a sound file")


def _require_standard_input(path: Path) -> None:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError(f"{path}: standard input is closed: pipe a sound file into it")
    if sys.stdin.isatty():
        raise InputError(f"{path}: standard input is a terminal: pipe a sound file into it")


def _mode(path: Path) -> int:
    """Returns the file type and permissions, as os.stat gives them."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _copy(path: Path) -> Any:
    standard_input = str(path) in STANDARD_INPUT
    copy = tempfile.NamedTemporaryFile(prefix="ds2edge-")  # noqa: SIM115 (the caller keeps it open)
    try:
        with (
            os.fdopen(os.dup(sys.stdin.fileno()), "rb") if standard_input else path.open("rb") as f
        ):
            shutil.copyfileobj(f, copy)
        copy.flush()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not copy.tell():
        raise InputError(f"{path}: gives no bytes: pipe a sound file into it")
    return copy
