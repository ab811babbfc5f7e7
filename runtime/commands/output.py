"""Where a command writes its result: checked before the work, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TextIO

import click

from ds2edge.runtime.errors import InputError


def require_writable(path: Path, such_as: str = "") -> None:
    """InputError if a file cannot be written there. Its folder is made. `such_as`: a name for it, in a message."""
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder: name the file to write{f', such as {path / such_as}' * bool(such_as)}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}): choose another place"
        ) from None


class Output:
    """Lines on standard output, or in a file that appears when all of them are there."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: standard output. InputError if the file cannot be written."""
        self._path = path
        self._file: TextIO | None = None
        if path is not None:
            require_writable(path)
            self._beside = path.with_name(path.name + ".part")
            self._file = self._beside.open("w", encoding="utf-8", errors="backslashreplace")

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
        at: TracebackType | None,
    ) -> None:
        if self._file is None or self._path is None:
            return
        try:
            self._file.close()
            if error is None:
                os.replace(self._beside, self._path)
        except OSError as full:
            raise InputError(
                f"{self._path}: cannot be written ({full.strerror}): make room"
            ) from None
        finally:
            self._beside.unlink(missing_ok=True)
