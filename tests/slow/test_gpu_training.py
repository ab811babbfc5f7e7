"""Training on a GPU, run on the CPU: two steps make a run that the kit can evaluate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import MINI, TINY

from ds2edge.train.data.manifest import read_manifest, write_manifest
from ds2edge.train.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
pytest.importorskip("torch", reason="torch is not installed: training on a GPU needs it")

SCRIPT = Path(__file__).parents[2] / "train" / "pretrained" / "gpu" / "train.py"


def test_two_steps_make_a_run(tmp_path, ds2edge):
    found = read_manifest(MINI)
    chosen = [c for c in found if c.split == "train"][:16] + [c for c in found if c.split == "dev"]
    for part, name in ((chosen, "real"), (chosen[:4], "made")):
        write_manifest(tmp_path / f"{name}.jsonl", part)
    (tmp_path / "tiny.toml").write_text(TINY)
    begun = tmp_path / "run"
    options = ["--steps", "2", "--batch-seconds", "4", "--synthetic", tmp_path / "made.jsonl"]
    call = [sys.executable, SCRIPT, tmp_path / "tiny.toml", tmp_path / "real.jsonl", *options]
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    for folder, more in ((begun, []), (tmp_path / "next", ["--init-from", begun])):
        command = [*map(str, call), "-o", str(folder), *map(str, more)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert "dev: WER" in done.stdout
    heard = ds2edge("evaluate", "-m", begun, tmp_path / "real.jsonl", "--split", "dev")
    assert heard.returncode == 0, heard.stderr
    assert Run.open(tmp_path / "next").specification.training["initialised_from"]
    again = subprocess.run([*map(str, call), "-o", str(begun)], capture_output=True, text=True)
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
