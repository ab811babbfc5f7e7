"""C libraries that talk: ALSA, JACK and XNNPACK write to standard error past Python, into what the user is reading."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Throws away what C libraries write to standard error. Python's own still comes through."""
    sys.stderr.flush()
    kept = os.dup(2)
    ours = sys.stderr
    to_file_2 = ours is sys.__stderr__
    with open(os.devnull, "wb") as nothing, os.fdopen(os.dup(kept), "w", buffering=1) as still:
        os.dup2(nothing.fileno(), 2)
        if to_file_2:
            sys.stderr = still
        try:
            yield
        finally:
            sys.stderr = ours
            os.dup2(kept, 2)
            os.close(kept)
