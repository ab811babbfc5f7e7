"""A training that is killed, or whose disk is full, loses no finished epoch."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import MINI

from ds2edge.train.run import Run

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("ds2edge"))
RECIPE = """
name = "tiny"
[features]
mel_bands = 32
[model]
width = 24
depth = 1
lookahead = 3
convolutions = [{ channels = 4, kernel = [5, 11], stride = [2, 4] }]
[training]
epochs = 5
batch_size = 8
cached_augmentations = 2
ema = 0.9
keep_best = 2
"""


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    """Recipe, manifest and cache in a folder."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "tiny.toml").write_text(RECIPE)
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    chosen = [r for r in rows if r["split"] == "train"][:40] + [
        r for r in rows if r["split"] == "dev"
    ][:8]
    lines = [json.dumps(r | {"audio": str(MINI.parent / r["audio"])}) + "\n" for r in chosen]
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder


def start(setup: Path, run: Path, *options: str, **environment: str) -> subprocess.Popen:
    """Starts a training. Its messages go to a file: workers of a killed one keep a pipe open."""
    command = [
        COMMAND,
        "train",
        str(setup / "tiny.toml"),
        str(setup / "manifest.jsonl"),
        "-o",
        str(run),
        *options,
    ]
    environment = {**os.environ, "DS2EDGE_CACHE": str(setup / "cache"), **environment}
    with (setup / "said").open("w") as said:
        return subprocess.Popen(command, env=environment, stderr=said)


def finish(setup: Path, process: subprocess.Popen, code: int = 0) -> str:
    """Waits for the end and returns the messages."""
    returned = process.wait(300)
    said = (setup / "said").read_text()
    assert returned == code, said
    assert "Traceback" not in said
    return said


def weights(run: Path) -> list[np.ndarray]:
    model, _ = Run.open(run).last_model()
    return [np.asarray(v) for v in (*model.weights, *model.optimizer.variables)]


@pytest.mark.timeout(3 * 3600)  # as many trainings, or what is left of them
@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=pytest.mark.long)])
def test_killed_at_random_moments_it_ends_where_the_unbroken_one_does(setup, tmp_path, kills):
    started = time.monotonic()
    finish(setup, start(setup, tmp_path / "unbroken"))
    whole = time.monotonic() - started
    draw = random.Random(4)
    done = 0
    while done < kills:
        killed = tmp_path / f"killed-{done}"
        done += train_with_kills(setup, killed, kills - done, lambda: draw.uniform(0.4, 1) * whole)
        require_same(killed, tmp_path / "unbroken")


def train_with_kills(setup: Path, run: Path, most: int, delay: Callable[[], float]) -> int:
    """Trains to the end; kills it up to `most` times. Returns how often it was killed."""
    kills = 0
    while True:
        resume = ["--resume"] if (run / "last.keras").exists() else []
        process = start(setup, run, *resume)
        try:
            process.wait(delay() if kills < most else 300)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    finish(setup, process)
    return kills


def require_same(killed: Path, unbroken: Path) -> None:
    for mine, theirs in zip(weights(killed), weights(unbroken), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    names = [sorted(path.name for path in folder.glob("*.keras")) for folder in (killed, unbroken)]
    assert set(names[1]) <= set(names[0])  # a killed one may have left a half-written file beside
    assert len([name for name in names[1] if name.startswith("epoch-")]) == 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (root may)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_while_saving_is_one_line_and_can_be_resumed(
    setup, small_disk, tmp_path
):
    run = small_disk / "run"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(900_000))
    said = finish(setup, start(setup, run), code=2).splitlines()
    assert "No space left on device" in said[-1]
    assert "make room, then continue with --resume" in said[-1]
    filler.unlink()
    finish(setup, start(setup, run, *(["--resume"] if (run / "last.keras").exists() else [])))
    assert len(Run.open(run).last_model()[1]) == 5


def test_a_full_disk_under_the_cache_costs_time_alone(setup, small_disk, tmp_path):
    (small_disk / "filler").write_bytes(bytes(1_000_000))
    finish(
        setup,
        start(setup, tmp_path / "run", "--epochs", "1", DS2EDGE_CACHE=str(small_disk / "cache")),
    )
