"""Half an hour and more through `listen`: the same text however it comes, in constant memory and time."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support import GOLDEN, RATE, SPOKEN, int16, speech

pytestmark = pytest.mark.slow

COMMAND = [
    str(Path(sys.executable).with_name("ds2edge")),
    "listen",
    "-m",
    str(GOLDEN),
    "--stdin",
    "--json",
]
MINUTES = 30


@pytest.fixture(scope="module")
def half_hour():
    """Speech with silences of many lengths, as raw samples."""
    pieces, total, gap = [], 0, 0.7
    while total < MINUTES * 60 * RATE:
        pieces.append(speech(gap))
        total += len(pieces[-1])
        gap = 0.7 + (gap * 1.7) % 6
    return int16(np.concatenate(pieces)[: MINUTES * 60 * RATE]).tobytes()


def finals(samples: bytes, block: int) -> list[dict]:
    """Finals of the command when it is given so many samples at a time."""
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:

        def write() -> None:
            for first in range(0, len(samples), 2 * block):
                process.stdin.write(samples[first : first + 2 * block])
            process.stdin.close()

        writer = threading.Thread(target=write)
        writer.start()
        events = [json.loads(line) for line in process.stdout]
        writer.join()
        assert process.wait() == 0
    return [
        {k: v for k, v in e.items() if k not in ("latency", "time")}
        for e in events
        if e["event"] == "final"
    ]


def test_half_an_hour_says_the_same_at_any_block_size(half_hour):
    """From 20 ms to 10 s, and odd ones; words, times and confidences too."""
    expected = finals(half_hour, 320)
    assert len(expected) > 200
    assert {event["text"] for event in expected} >= set(SPOKEN)
    for block in (1601, 16000, 160000):
        assert finals(half_hour, block) == expected


def test_single_samples_say_the_same(half_hour):
    """Two minutes of them."""
    part = half_hour[: 2 * 120 * RATE]
    assert finals(part, 1) == finals(part, 16000)


def test_neither_memory_nor_time_grows():
    """The soak that docs/results.md shows for 24 hours, for one."""
    command = [
        sys.executable,
        "benchmarks/soak.py",
        "-m",
        str(GOLDEN),
        *map(str, SPOKEN.values()),
        "--hours",
        "1",
    ]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["finals"] > 300
    # The allocator's own steps are of 2 to 4 MB (docs/soak.png); were the blocks of the 50 minutes kept, it were 190.
    assert found["megabytes_at_last"] - found["megabytes_at_first"] < 10
    assert found["time_ratio_last_to_first_quarter"] < 1.5
