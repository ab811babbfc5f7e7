"""Output files of commands: checked before the work, written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TextIO

import click

from ds2edge.runtime.errors import InputError


def require_writable(path: Path, example: str = "") -> None:
    """Creates the folder of a file and checks that the file can be written.

    `example`: a file name for the message if `path` is a folder. Raises InputError.
    """
    if path.is_dir():
        such_as = f", such as {path / example}" if example else ""
        raise InputError(f"{path}: is a folder: name the file to write{such_as}")
    if (path.exists() and not path.is_file()) or path.is_relative_to("/dev"):
        raise InputError(f"{path}: is a device or a pipe: name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}): choose another place") from None


class Output:
    """Writes lines to standard output, or to a file that appears when all lines are written."""

    def __init__(self, path: Path | None) -> None:
        """`path`: None for standard output. Raises InputError if it cannot be written."""
        self._path = path
        self._file: TextIO | None = None
        if path is None and sys.stdout is None:
            raise InputError("standard output is closed: name a file with -o")
        if path is not None:
            require_writable(path)
            self._partial = path.with_name(path.name + ".part")
            self._file = self._partial.open("w", encoding="utf-8", errors="backslashreplace")

    def line(self, text: str) -> None:
        """Writes a line."""
        if self._file is None:
            click.echo(text)
        else:
            self._file.write(text + "\n")

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None or self._path is None:
            return
        try:
            self._file.close()
            if error is None:
                os.replace(self._partial, self._path)
        except OSError as full:
            raise InputError(
                f"{self._path}: cannot be written ({full.strerror}): free some disk space"
            ) from None
        finally:
            self._partial.unlink(missing_ok=True)
