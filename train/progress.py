"""Progress bars on standard error, so that what a command prints can be piped on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import rich.console
import rich.progress
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """`items`, with a bar that says how far of `total` they have come; it goes when it is done."""
    console = rich.console.Console(stderr=True)
    return rich.progress.track(
        items, what, total, console=console, transient=True, disable=not console.is_terminal
    )


@contextmanager
def track_bytes(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar of bytes, with speed and time left; what it yields is told how many of `total` have come."""
    console = rich.console.Console(stderr=True)
    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with rich.progress.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total, completed=done)
        yield lambda now: progress.update(task, completed=now)


@contextmanager
def open_tracked(path: Path, what: str) -> Iterator[BinaryIO]:
    """A file to read, with a bar that says how much of it has been read."""
    console = rich.console.Console(stderr=True)
    with rich.progress.open(
        path,
        "rb",
        description=what,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as file:
        yield file
