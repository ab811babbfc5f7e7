"""One training at a time in a folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ds2edge.runtime.errors import InputError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder of a run against other trainings on this machine; the system lets go when the process ends.

    The lock lies beside other temporary files: a training that is refused leaves no folder behind. InputError if
    another training holds it.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"ds2edge-{os.getuid()}-{name}.lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # no place for temporary files: no reason not to train
        yield
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another training is at work here: wait for it, or give another -o"
            ) from None
        yield
    finally:
        os.close(file)
