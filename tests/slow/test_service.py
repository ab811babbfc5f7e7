"""The systemd units' own command line, killed in the middle of an utterance and started again."""

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
    """A unit file: keys may come twice, and their case counts. The last of them holds; that is enough here."""

    optionxform = staticmethod(str)

    def __init__(self, name: str, prefix: Path) -> None:
        super().__init__(strict=False)
        self.read_string((UNITS / name).read_text().replace("@PREFIX@", str(prefix)))

    def command(self) -> list[str]:
        """ExecStart, with the options that Environment= leaves empty."""
        return [word for word in self["Service"]["ExecStart"].split() if word != "$LISTEN_OPTIONS"]


@pytest.fixture
def installation(tmp_path):
    """What install.sh leaves: the program, the model, and where the transcript goes."""
    prefix = tmp_path / "ds2edge"
    (prefix / "venv" / "bin").mkdir(parents=True)
    (prefix / "venv" / "bin" / "ds2edge").symlink_to(Path(sys.executable).with_name("ds2edge"))
    (prefix / "model.tflite").symlink_to(GOLDEN)
    return prefix


def logged(log: Path) -> list[str]:
    """Texts in the log, each of whose lines must be whole."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    assert all(line.endswith("}\n") for line in lines)
    return [json.loads(line)["text"] for line in lines]


def test_the_service_killed_in_the_middle_of_an_utterance_keeps_its_log_whole(
    tmp_path, installation
):
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
        time.sleep(0.8)  # the next utterance is being said
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert logged(log) == TEXTS[:1]
        pulse.hush()

        process = start()
        pulse.say(np.zeros(2 * RATE))  # after what was left in the pipe
        pulse.say(speech(gap=1.8))
        pulse.wait_until_said()
        process.send_signal(signal.SIGTERM)  # how systemd stops it
        process.communicate(timeout=10)
        assert process.returncode == 0
    texts = logged(log)
    assert (texts[0], texts[-3:]) == (TEXTS[0], TEXTS)
    assert len(texts) <= 5  # the rest of what was being said at the time may be one more


def test_killing_at_any_moment_leaves_whole_lines(installation):
    """Sound without end, pushed as fast as it goes: most of the time is spent near a final."""
    sound = (speech(1.3) * 32767).astype("<i2").tobytes()
    log = installation / "log.jsonl"
    command = [
        sys.executable,
        "-m",
        "ds2edge.runtime.cli",
        "listen",
        "-m",
        str(GOLDEN),
        "--stdin",
        "--log",
        str(log),
    ]
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


def test_both_units_run_the_same_command_but_for_the_folder_of_the_transcript(installation):
    user, system = (
        Unit(name, installation).command() for name in ("ds2edge.service", "ds2edge-system.service")
    )
    differing = [
        (mine, theirs) for mine, theirs in zip(user, system, strict=True) if mine != theirs
    ]
    assert differing == [
        (str(installation / "transcript.jsonl"), "/var/lib/ds2edge/transcript.jsonl")
    ]
