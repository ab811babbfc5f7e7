"""Progress bars on standard error, so that standard output can go into a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import rich.console
import rich.progress
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
    """`items`, with a bar that counts them up to `total`. The bar disappears at the end."""
    console = rich.console.Console(stderr=True)
    return rich.progress.track(
        items,
        description,
        total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def track_amount(description: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar of any amount. Yields a function that sets how much is done."""
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def track_bytes(description: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar of bytes with speed and remaining time. Yields a function that sets the bytes done."""
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
        task = progress.add_task(description, total=total, completed=done)
        yield lambda now: progress.update(task, completed=now)


@contextmanager
def open_tracked(path: Path, description: str) -> Iterator[BinaryIO]:
    """Opens a file for reading, with a bar that shows how much has been read."""
    console = rich.console.Console(stderr=True)
    with rich.progress.open(
        path,
        "rb",
        description=description,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as file:
        yield file
