"""A long file is transcribed in constant memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from support import RATE, babble

pytestmark = pytest.mark.slow

MOST_MEMORY = 150e6  # bytes resident, of the whole process


def transcribe(model: Path, path: Path) -> tuple[dict, float]:
    """What the command prints, and the most memory that its process held (bytes).

    The process reads that itself: what its parent is told also counts the parent before the fork.
    """
    code = (
        "import re, sys\nfrom ds2edge.runtime.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", code, "transcribe", "--json", "-m", str(model), str(path)]
    printed, kilobytes = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return json.loads(printed), 1024 * int(kilobytes)


@pytest.mark.parametrize("minutes", [15, pytest.param(60, marks=pytest.mark.long)])
def test_a_long_file_takes_constant_memory(tiny_model, tmp_path, minutes):
    path = tmp_path / "long.wav"
    minute = babble(60)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(minutes):
            file.write(minute)
    facts, memory = transcribe(tiny_model, path)
    assert facts["seconds"] == 60 * minutes
    assert len(facts["words"]) > minutes
    # All samples as float32 would take 58 MB more for 15 minutes, 230 MB for an hour.
    assert 20e6 < memory < MOST_MEMORY
