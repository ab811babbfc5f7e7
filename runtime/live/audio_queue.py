"""Between a microphone, which never waits, and a recogniser, which may."""

from __future__ import annotations

from collections import deque
from threading import Condition

from ds2edge.runtime.live.sources import Block


class AudioQueue:
    """Blocks in order, at most so many seconds of them: an overflow drops the oldest, and is counted."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: capacity."""
        self._seconds = seconds
        self._blocks: deque[Block] = deque()
        self._waiting = 0.0  # seconds in the queue
        self._dropped = 0.0
        self._changed = Condition()

    def put(self, block: Block) -> None:
        """Adds a block. Never waits, never raises."""
        with self._changed:
            self._blocks.append(block)
            self._waiting += _seconds(block)
            while self._waiting > self._seconds and len(self._blocks) > 1:
                oldest = _seconds(self._blocks.popleft())
                self._waiting -= oldest
                self._dropped += oldest
            self._changed.notify()

    def get(self, timeout: float) -> Block | None:
        """The oldest block; None if there is none for `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._blocks, timeout):
                return None
            block = self._blocks.popleft()
            self._waiting = self._waiting - _seconds(block) if self._blocks else 0.0
            return block

    def take_dropped(self) -> float:
        """Seconds dropped since the last call."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0.0
            return dropped


def _seconds(block: Block) -> float:
    return len(block.samples) / block.rate
