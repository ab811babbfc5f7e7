"""Fuzzes the kit; docs/reliability.md tells of longer runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent.parent / "fuzz" / "fuzz.py"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [20, pytest.param(60, marks=pytest.mark.long)])
def test_broken_inputs_are_accepted_or_refused_with_one_line(tmp_path, seconds):
    command = [
        sys.executable,
        str(FUZZ),
        "--seconds",
        str(seconds),
        "--seed",
        "7",
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    figures = json.loads(done.stdout.splitlines()[0])
    assert figures["inputs"] > 8 * seconds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
