"""The command of the systemd units, killed in the middle of an utterance and started again."""

import configparser
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sound_system import PulsePipe
from support import GOLDEN, RATE, SPOKEN, speech

pytestmark = pytest.mark.slow

UNITS = Path("devices/raspberrypi")
TEXTS = list(SPOKEN)


class Unit(configparser.RawConfigParser):
    """A unit file. Keys are case-sensitive and may be repeated; the last one is kept."""

    optionxform = staticmethod(str)

    def __init__(self, name: str, prefix: Path) -> None:
        super().__init__(strict=False)
        self.read_string((UNITS / name).read_text().replace("@PREFIX@", str(prefix)))

    def command(self) -> list[str]:
        """The words of ExecStart. Environment= leaves LISTEN_OPTIONS empty."""
        return [word for word in self["Service"]["ExecStart"].split() if word != "$LISTEN_OPTIONS"]


@pytest.fixture
def installation(tmp_path):
    """An installation as install.sh leaves it: the program and the model."""
    prefix = tmp_path / "ds2edge"
    (prefix / "venv" / "bin").mkdir(parents=True)
    (prefix / "venv" / "bin" / "ds2edge").symlink_to(Path(sys.executable).with_name("ds2edge"))
    (prefix / "model.tflite").symlink_to(GOLDEN)
    return prefix


def logged(log: Path) -> list[str]:
    """Texts in the log. Every line must be complete."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    assert all(line.endswith("}\n") for line in lines)
    return [json.loads(line)["text"] for line in lines]


def test_a_service_killed_in_the_middle_of_an_utterance_keeps_its_log_whole(tmp_path, installation):
    pulse = PulsePipe(tmp_path)
    command = Unit("ds2edge.service", installation).command()
    log = installation / "transcript.jsonl"
    assert command[0].startswith(str(installation))
    assert str(log) in command

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            command, env=pulse.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while b"listening" not in process.stderr.readline():
            assert process.poll() is None
        return process

    with pulse.plugged_in():
        process = start()
        pulse.say(speech(gap=1.8))
        deadline = time.monotonic() + 20
        while not logged(log):
            assert time.monotonic() < deadline, "nothing was logged"
            time.sleep(0.02)
        time.sleep(0.8)  # into the next utterance
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert logged(log) == TEXTS[:1]
        pulse.hush()

        process = start()
        pulse.say(np.zeros(2 * RATE))  # after the rest of the old sound in the pipe
        pulse.say(speech(gap=1.8))
        pulse.wait_until_said()
        process.send_signal(signal.SIGTERM)  # how systemd stops it
        process.communicate(timeout=10)
        assert process.returncode == 0
    texts = logged(log)
    assert (texts[0], texts[-3:]) == (TEXTS[0], TEXTS)
    assert len(texts) <= 5  # the rest of the interrupted utterance may be one more


def test_a_kill_at_any_moment_leaves_whole_lines(installation):
    """Sound is fed as fast as possible, so a final is being written most of the time."""
    sound = (speech(1.3) * 32767).astype("<i2").tobytes()
    log = installation / "log.jsonl"
    command = [sys.executable, "-m", "ds2edge.runtime.cli", "listen"]
    command += ["-m", str(GOLDEN), "--stdin", "--log", str(log)]
    lines = 0
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(sound)
            process.stdout.readline()
            try:
                process.stdin.write(10 * sound)
                time.sleep(delay)
            finally:
                process.kill()
        assert len(logged(log)) > lines
        lines = len(logged(log))


def test_the_units_run_the_same_command_except_for_the_transcript(installation):
    user = Unit("ds2edge.service", installation).command()
    system = Unit("ds2edge-system.service", installation).command()
    differing = [words for words in zip(user, system, strict=True) if words[0] != words[1]]
    log = str(installation / "transcript.jsonl")
    assert differing == [(log, "/var/lib/ds2edge/transcript.jsonl")]
