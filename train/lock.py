"""Locks a folder, so that two commands cannot write to it at once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ds2edge.runtime.errors import InputError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other commands on this machine out of the folder. InputError if one is already there.

    Of several processes that train together, only the first one takes the lock. The system frees
    it when the process ends. The lock file lies among the temporary files, so a command that is
    refused leaves no folder behind.
    """
    if not is_first_process():
        yield
        return
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"ds2edge-{os.getuid()}-{name}.lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # no temporary files here: go on without a lock
        yield
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another command is using this folder: wait until it ends, "
                "or choose another folder with -o"
            ) from None
        yield
    finally:
        os.close(file)


def is_first_process() -> bool:
    """Whether this is the only process of a training, or the first (see docs/distribution.md)."""
    if os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", "0") != "0":
        return False
    try:
        worker = json.loads(os.environ.get("TF_CONFIG") or "{}")["task"]["index"]
    except (ValueError, KeyError, TypeError):  # the training reports a faulty TF_CONFIG
        return True
    return bool(worker == 0)
