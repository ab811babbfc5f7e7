"""A minute of broken inputs; an hour of them is by hand: docs/reliability.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent.parent / "fuzz" / "fuzz.py"


@pytest.mark.slow
def test_broken_inputs_are_taken_or_refused_in_a_line(tmp_path):
    command = [
        sys.executable,
        str(FUZZ),
        "--seconds",
        "60",
        "--seed",
        "7",
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    figures = json.loads(done.stdout.splitlines()[0])
    assert figures["inputs"] > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
