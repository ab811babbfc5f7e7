"""The addresses that servers listen at."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ds2edge.runtime.errors import InputError


@dataclass(frozen=True)
class Address:
    """A host name or number, and a port. Port 0 stands for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def of_peer(cls, name: Any) -> str:
        """How a log calls the client whose socket has this name."""
        return str(cls(*name[:2])) if name else "unknown"

    def bound(self, sockets: Iterable[socket.socket]) -> Address:
        """This address with the port of the first of its sockets."""
        first = next(iter(sockets))
        return replace(self, port=first.getsockname()[1])

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises InputError if what is done inside cannot use this address."""
        try:
            yield
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"{self}: cannot listen here ({reason}): give another host or port"
            raise InputError(message) from None
