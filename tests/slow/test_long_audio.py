"""An hour of sound goes through in constant memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from support import RATE, babble

pytestmark = pytest.mark.slow

MOST_MEMORY = 150e6  # bytes resident, of the whole process


def transcribe(model: Path, path: Path) -> tuple[dict, float]:
    """What the command prints, and the most memory that its process held (bytes)."""
    command = [str(Path(sys.executable).with_name("ds2edge")), "transcribe", "--json", "-m", str(model), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return json.loads(printed), usage.ru_maxrss * 1024


def test_an_hour_in_constant_memory(tiny_model, tmp_path):
    path = tmp_path / "hour.wav"
    minute = babble(60)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(minute)
    facts, memory = transcribe(tiny_model, path)
    assert facts["seconds"] == 3600
    assert len(facts["words"]) > 100
    assert memory < MOST_MEMORY
