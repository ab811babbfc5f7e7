"""What a client may take, so that one cannot harm the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

MESSAGE_BYTES = 1 << 20  # of one message: 32 s of 16-bit sound at 16 kHz
RATES = range(4000, 384001)  # sample rates in Hz
MAX_PHRASES = 2000  # in the list of one client
# Phrases of such a list that may be said without a pause: fewer of long lists, as the graph grows.
MAX_IN_A_ROW = 10
MAX_ALTERNATIVES = 100
LINGER_SECONDS = 5.0  # for a client to read the last answer before its connection is cut


class TooManyClients(Exception):
    """All places are taken."""


@dataclass(frozen=True)
class Limits:
    """Limits that the user of the server may choose."""

    max_clients: int = 16  # connected at the same time
    max_seconds: float = 60.0  # of sound in one Wyoming request
    max_idle: float = 60.0  # seconds that a client may take to send or to read a message


class Clients:
    """Counts the clients of all protocols together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Takes a place. Raises TooManyClients if there is none."""
        if self._count >= self._most:
            raise TooManyClients(f"there are {self._most} clients already: try again later")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
