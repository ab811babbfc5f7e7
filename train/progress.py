"""Progress bars on standard error, so that what a command prints can be piped on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import rich.console
import rich.progress

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """`items`, with a bar that says how far of `total` they have come; it goes when it is done."""
    console = rich.console.Console(stderr=True)
    return rich.progress.track(items, what, total, console=console, transient=True, disable=not console.is_terminal)
