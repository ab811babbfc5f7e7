"""The benchmark of training against the Keras example, at a size too small to compare speeds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import MINI

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "train_speed.py"


def test_it_prints_both_speeds_of_both_ways_and_compares_models_of_one_size(tiny_toml):
    command = [
        sys.executable,
        SCRIPT,
        MINI,
        "--recipe",
        tiny_toml,
        "--clips",
        "24",
        "--rounds",
        "1",
        "--variants",
        "2",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["recipe"], found["variants"], found["clips"]) == ("tiny", 2, 24)
    assert found["weights"]["example"] == pytest.approx(found["weights"]["kit"], rel=0.05)
    speeds = found["seconds_per_second"]
    assert {name.split(":")[0] for name in speeds} == {"pipeline", "training"}
    assert all(speed > 0 for speed in speeds.values())
    assert all(ratio > 0 for ratio in found["ratios"].values())
    # Even a model this small takes longer to train than its clips take to come from the cache.
    assert found["ratios"]["kit: pipeline to training"] > 1
