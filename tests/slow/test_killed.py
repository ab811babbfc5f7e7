"""Commands that are killed at random moments leave no half-written file and lose nothing."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from support import GOLDEN, RATE, SPOKEN, int16, speech

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COMMAND = str(Path(sys.executable).with_name("ds2edge"))
KILLS = pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.long)])


def run_killed(command: list[str], seconds: float, sound: Path, said: Path) -> None:
    """Runs a command with its input and output in files, and kills it after so many seconds."""
    with sound.open("rb") as source, said.open("w") as output:
        process = subprocess.Popen(command, stdin=source, stdout=output, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def seconds_of(command: list[str], sound: Path) -> float:
    """How long a command takes when nobody kills it."""
    started = time.monotonic()
    with sound.open("rb") as source:
        subprocess.run(command, stdin=source, capture_output=True, check=True)
    return time.monotonic() - started


@KILLS
def test_a_killed_transcribe_leaves_the_old_file_or_the_whole_new_one(tmp_path, kills):
    files = [str(path) for path in SPOKEN.values()]
    command = [COMMAND, "transcribe", "-m", str(GOLDEN), *files, "-o", str(tmp_path / "text")]
    whole = seconds_of(command, GOLDEN)
    new = (tmp_path / "text").read_text()
    assert len(new.splitlines()) == len(files)
    draw = random.Random(1)
    for _ in range(kills):
        (tmp_path / "text").write_text("old")
        run_killed(command, draw.uniform(0.3, 1.1) * whole, GOLDEN, tmp_path / "said")
        assert (tmp_path / "text").read_text() in ("old", new)
        assert set(tmp_path.iterdir()) <= {tmp_path / n for n in ("text", "text.part", "said")}
    subprocess.run(command, capture_output=True, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["said", "text"]


@KILLS
def test_a_killed_listen_keeps_all_that_was_said_before(tmp_path, kills):
    sound = tmp_path / "sound.raw"
    int16(speech()).tofile(sound)
    log = tmp_path / "log.jsonl"
    saved = tmp_path / "saved"
    command = [COMMAND, "listen", "-m", str(GOLDEN), "--stdin"]
    command += ["--log", str(log), "--save", str(saved)]
    whole = seconds_of(command, sound)
    draw = random.Random(2)
    said = log.read_text()
    assert len(said.splitlines()) == len(SPOKEN)
    manifest = (saved / "manifest.jsonl").read_text()
    for _ in range(kills):
        run_killed(command, draw.uniform(0.5, 1.1) * whole, sound, tmp_path / "said")
        assert log.read_text().startswith(said)
        assert (saved / "manifest.jsonl").read_text().startswith(manifest)
        new = log.read_text()[len(said) :]
        printed = (tmp_path / "said").read_text().splitlines()
        assert [json.loads(line)["text"] for line in new.splitlines()][: len(printed)] == printed
        said += new
        manifest = (saved / "manifest.jsonl").read_text()
        assert said.endswith("\n")
        assert manifest.endswith("\n")
    rows = [json.loads(line) for line in manifest.splitlines()]
    for row in rows:
        sound_file = soundfile.info(saved / row["audio"])
        assert sound_file.samplerate == RATE
        assert abs(sound_file.frames - row["duration"] * RATE) <= 0.0005 * RATE + 1
    assert len(said.splitlines()) - kills <= len(rows) <= len(said.splitlines())
