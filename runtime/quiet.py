"""C libraries that talk: ALSA, JACK, libmpg123 and XNNPACK write to standard error past Python, into what the user
is reading."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from threading import Lock

_lock = Lock()
_inside = 0  # contexts that are open, in any thread: the first throws away, the last restores
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Throws away what C libraries write to standard error. Python's own still comes through."""
    global _inside
    with _lock:
        if not _inside:
            _restore.enter_context(_redirected())
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _restore.close()


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed: nothing can be written there
        yield
        return
    ours = sys.stderr
    with open(os.devnull, "wb") as nothing, os.fdopen(os.dup(kept), "w", buffering=1) as still:
        if ours is not None:
            ours.flush()
        os.dup2(nothing.fileno(), 2)
        if ours is not None and ours is sys.__stderr__:
            sys.stderr = still
        try:
            yield
        finally:
            sys.stderr = ours
            os.dup2(kept, 2)
            os.close(kept)
