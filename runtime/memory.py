"""Memory of this process, from Linux's /proc."""

from __future__ import annotations

import re
from pathlib import Path


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in megabytes. None outside Linux."""
    return _megabytes("VmHWM")  # not getrusage, which also counts what the parent process held


def resident_memory() -> float | None:
    """The memory that this process holds now, in megabytes. None outside Linux."""
    return _megabytes("VmRSS")


def _megabytes(field: str) -> float | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(line[1]) * 1024 / 1e6 if line else None
