"""The phrases of the server, read again when their file changes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.serve.sessions import Sessions

log = logging.getLogger("ds2edge")

CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class PhrasesFile:
    """A file that `Phrases.load` reads, and the least confidence; None for the default."""

    path: Path
    min_confidence: float | None

    async def watch(self, sessions: Sessions) -> None:
        """Replaces the phrases whenever the file has changed, until it is cancelled.

        A file that has a fault leaves the old phrases, and a line in the log.
        """
        known = self._state()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            state = self._state()
            if state in (None, known):  # an editor may remove the file for a moment
                continue
            known = state
            try:
                await sessions.replace_phrases(self.path, self.min_confidence)
                log.info("%s: read again", self.path)
            except InputError as error:
                log.warning("%s; the old phrases stay", error)

    def _state(self) -> tuple[int, int, int] | None:
        """What changes when the file is written or replaced; None if it cannot be found."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
