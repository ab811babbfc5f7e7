"""Silences C libraries that write to standard error, such as ALSA, JACK, LiteRT and tensorflow."""

from __future__ import annotations

import atexit
import contextlib
import importlib.abc
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType

TENSORFLOW_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
ERRORS_TOO = "3"  # the level that hides information, warnings and errors

_lock = Lock()
_open_contexts = 0  # in all threads: the first redirects standard error, the last restores it
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discards what C libraries write to standard error; Python's own output still appears."""
    global _open_contexts
    with _lock:
        if not _open_contexts:
            _restore.enter_context(_redirected())
        _open_contexts += 1
    try:
        yield
    finally:
        with _lock:
            _open_contexts -= 1
            if not _open_contexts:
                _restore.close()


def quiet_process() -> None:
    """Keeps the logs of tensorflow and LiteRT off standard error until the process ends.

    For the command line and its worker processes. The library itself never calls it: the standard
    error, the environment and the loggers of a host program are not the library's to change.
    A user who sets TF_CPP_MIN_LOG_LEVEL to 0, 1 or 2 sees the logs of tensorflow.
    """
    # LiteRT logs when its objects are destroyed, after the last line of Python.
    atexit.unregister(_close_standard_error)
    atexit.register(_close_standard_error)
    # Worker processes inherit the variable.
    if os.environ.setdefault(TENSORFLOW_LOG_LEVEL, ERRORS_TOO) != ERRORS_TOO:
        return
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not any(isinstance(finder, _QuietTensorflow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietTensorflow())


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    try:
        original = os.dup(2)
    except OSError:  # standard error is closed: nothing can be written there
        yield
        return
    python_stderr = sys.stderr
    with (
        open(os.devnull, "wb") as nothing,
        os.fdopen(os.dup(original), "w", buffering=1) as still_open,
    ):
        if python_stderr is not None:
            python_stderr.flush()
        os.dup2(nothing.fileno(), 2)
        if python_stderr is not None and python_stderr is sys.__stderr__:
            sys.stderr = still_open
        try:
            yield
        finally:
            sys.stderr = python_stderr
            os.dup2(original, 2)
            os.close(original)


def _close_standard_error() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # it may be closed already
        sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _QuietTensorflow(importlib.abc.MetaPathFinder):
    """Imports tensorflow inside `quiet`: while it loads, it logs whatever its settings say."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with quiet():
                    execute(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec
