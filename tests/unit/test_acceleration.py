"""What makes training fast on a CPU."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from ds2edge.train.acceleration import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def tensors():
    for _ in range(20):
        np.ones(50_000_000, np.uint8)
tensors()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
tensors()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is tuned is glibc's allocator")
def test_freed_memory_is_used_again():
    """50 MB are 12,000 pages: where they are given back, each is cleared by the system at every new use."""
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 1000 < faults["leave"]
