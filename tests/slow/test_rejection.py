"""`benchmarks/rejection.py`, on a model too small to say anything about rejection."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import GOLDEN, SPOKEN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "rejection.py"


@pytest.mark.parametrize("mode", ["--phrases", "--wake"])
def test_the_table_counts_what_is_accepted_and_the_picture_is_drawn(tmp_path, mode):
    pytest.importorskip("hassil", reason="hassil is not installed (the extra `phrases`)")
    listed = "turn down the radio"
    house = tmp_path / "house.yaml"
    house.write_text(f"intents: {{Radio: {{data: [{{sentences: ['{listed}']}}]}}}}\n")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"audio": str(SPOKEN[listed]), "text": listed}) + "\n")
    others = [path for text, path in SPOKEN.items() if text != listed]
    arguments = [manifest, "-m", GOLDEN, mode, house if mode == "--phrases" else listed]
    for other in others:
        arguments += ["--other-speech", other]
    picture = tmp_path / "rejection.png"
    command = [sys.executable, SCRIPT, *arguments, "-o", picture]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert picture.stat().st_size > 5000
    first, names, *rows = done.stdout.splitlines()
    assert first.startswith("1 clips; 0.00 h of other speech")
    assert names.split()[0] == "confidence"
    cells = [row.split() for row in rows]
    right = [float(cell[1]) for cell in cells]
    false = [float(cell[5]) for cell in cells]
    assert right == sorted(right, reverse=True)
    assert false == sorted(false, reverse=True)
    assert (right[0], false[-1]) == (100, 0)
