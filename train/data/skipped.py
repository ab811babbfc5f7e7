"""Clips that cannot be used: named, counted, and too many of them refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ds2edge.runtime.errors import InputError

log = logging.getLogger("ds2edge")

MAX_SHARE = 0.01  # of all clips: with more, the data as a whole is in doubt
SMALL = 200  # clips: in a smaller set every skipped clip is named, and any number is allowed
NAMED = 5  # skipped clips of a large set that are named


def name_some(problems: Sequence[str], clips: int) -> None:
    """Logs why clips are skipped: all of a small set, the first five of a large one."""
    for problem in problems if clips < SMALL else problems[:NAMED]:
        log.warning("skipped: %s", problem)


def refuse_many(problems: Sequence[str], clips: int) -> None:
    """InputError if more than 1 % of a large set of clips have a problem."""
    if clips >= SMALL and len(problems) > MAX_SHARE * clips:
        raise InputError(
            f"{len(problems)} of {clips} clips cannot be used, more than 1 %; "
            f"the first: {problems[0]}: mend them, or leave them out with --skip-bad"
        )
