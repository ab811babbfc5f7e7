"""A queue between a microphone, which cannot wait, and a recognizer, which may be slow."""

from __future__ import annotations

from collections import deque
from threading import Condition

from ds2edge.runtime.live.block import Block


class AudioQueue:
    """Holds blocks in order, up to some seconds of sound. Drops the oldest when it is full."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: capacity."""
        self._capacity = seconds
        self._blocks: deque[Block] = deque()
        self._queued_seconds = 0.0
        self._dropped_seconds = 0.0
        self._changed = Condition()

    def put(self, block: Block) -> None:
        """Adds a block. Never blocks and never raises."""
        with self._changed:
            self._blocks.append(block)
            self._queued_seconds += block.seconds
            while self._queued_seconds > self._capacity and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._queued_seconds -= oldest.seconds
                self._dropped_seconds += oldest.seconds
            self._changed.notify()

    def get(self, timeout: float) -> Block | None:
        """Removes and returns the oldest block; None if none arrives within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._blocks, timeout):
                return None
            block = self._blocks.popleft()
            # Exactly 0 when empty: rounding errors would add up.
            self._queued_seconds = self._queued_seconds - block.seconds if self._blocks else 0.0
            return block

    def take_dropped(self) -> float:
        """Returns the seconds dropped since the last call."""
        with self._changed:
            dropped = self._dropped_seconds
            self._dropped_seconds = 0.0
            return dropped
