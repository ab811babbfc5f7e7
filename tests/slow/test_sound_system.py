"""PyAudio with real ALSA and PulseAudio, whose microphone plays known clips."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from sound_system import PulsePipe, alsa_file
from support import GOLDEN, RATE, SPOKEN, int16, speech

from ds2edge.runtime import Listener, Recognizer
from ds2edge.runtime.live import microphone
from ds2edge.runtime.live.devices import list_devices

pytestmark = pytest.mark.slow

COMMAND = [str(Path(sys.executable).with_name("ds2edge")), "listen", "-m", str(GOLDEN), "--json"]
TEXTS = list(SPOKEN)


def test_alsa_gives_the_exact_samples_and_the_exact_text(tmp_path, monkeypatch):
    """The device has no clock, so the queue must hold all its samples."""
    samples = speech()
    for name, value in alsa_file(tmp_path, samples).items():
        monkeypatch.setenv(name, value)
    recorded: list[np.ndarray] = []
    with microphone.Microphone(None, RATE, queue_seconds=math.inf) as device:
        for block in device.blocks(Event()):
            assert block.rate == RATE
            recorded.append(block.samples[:, 0])
            if sum(map(len, recorded)) >= len(samples):
                break
    exact = np.concatenate(recorded)[: len(samples)]
    np.testing.assert_array_equal(exact, int16(samples))
    listener = Listener(Recognizer(GOLDEN))
    assert [
        utterance.text for utterance in listener.accept(exact, RATE) + listener.finish()
    ] == TEXTS


def test_dropped_sound_is_reported_without_messages_of_alsa(tmp_path):
    """ALSA complains about missing cards and JACK about a missing server."""
    environment = alsa_file(tmp_path, speech())
    with subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGINT)
        lines += process.stderr.read().splitlines(keepends=True)
        assert process.wait(10) == 0
    assert lines[0] == "listening to default at 16000 Hz\n"
    assert len(lines) >= 2
    assert all(line.startswith("warning: recognition is too slow: ") for line in lines[1:])


def test_devices_are_listed_without_messages_of_alsa(ds2edge, tmp_path):
    done = ds2edge("listen", "--list-devices", env=alsa_file(tmp_path, speech()))
    assert (done.returncode, done.stderr) == (0, "")
    assert "default: " in done.stdout
    assert "(default)" in done.stdout


def test_a_missing_device_is_a_one_line_error(ds2edge, tmp_path):
    done = ds2edge("listen", "-m", GOLDEN, "--device", "none", env=alsa_file(tmp_path, speech()))
    assert done.returncode == 2
    assert done.stderr == "error: no microphone 'none' (there are: 'default')\n"


def doctor(ds2edge, environment, *options) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code of `ds2edge doctor`, and the worst finding of each kind."""
    command = ("doctor", "--json", "--seconds", "2", "-m", GOLDEN, *options)
    done = ds2edge(*command, env=environment)
    assert done.stderr in ("", "recording for 2 s: say something\n")
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    findings.sort(key=lambda finding: ["ok", "note", "problem"].index(finding["state"]))
    return done.returncode, {f["what"]: (f["state"], f["says"]) for f in findings}


@pytest.mark.parametrize(
    ("gain", "state", "says"),
    [
        (1.0, "ok", "dBFS in the loudest second"),
        (0.003, "problem", "raise the capture level"),
        (0.0, "problem", "the microphone is muted"),
        (1000.0, "problem", "lower the capture level"),
    ],
)
def test_doctor_judges_the_level_of_an_alsa_microphone(ds2edge, tmp_path, gain, state, says):
    sound = np.clip(gain * speech(), -1, 1)
    code, findings = doctor(ds2edge, alsa_file(tmp_path, sound))
    assert findings["level"][0] == state
    assert says in findings["level"][1]
    assert findings["microphone"] == ("ok", "default, at 16000 Hz")
    assert "16000" in findings["sample rates"][1]
    assert code == (state == "problem")


def test_doctor_names_a_missing_microphone_and_a_wrong_model(ds2edge, tmp_path):
    if list_devices():
        pytest.skip("this machine has a microphone")
    code, findings = doctor(ds2edge, {"HOME": str(tmp_path)}, "-m", __file__)
    assert code == 1
    assert findings["model"][0] == "problem"
    assert "not made by `ds2edge convert`" in findings["model"][1]
    assert findings["microphone"][0] == "problem"
    assert "plug one in" in findings["microphone"][1]


@pytest.fixture
def pulse(tmp_path):
    return PulsePipe(tmp_path)


def test_doctor_finds_no_problem_with_a_microphone_of_pulseaudio(pulse, ds2edge):
    with pulse.plugged_in():
        pulse.say(np.tile(speech(gap=0.2), 4))
        code, findings = doctor(ds2edge, pulse.environment)
        pulse.hush()
    assert (code, findings["level"][0], findings["overflow"][0]) == (0, "ok", "ok"), findings


def final_texts(lines) -> list[str]:
    events = [json.loads(line) for line in lines]
    return [event["text"] for event in events if event["event"] == "final"]


def test_pulseaudio_in_real_time(pulse):
    """Each final comes 1.2 s (the endpoint rule) to 3 s after its last word."""
    with (
        pulse.plugged_in(),
        subprocess.Popen(
            COMMAND,
            env=pulse.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr.readline() == "listening to default at 16000 Hz\n"
        pulse.say(speech(gap=1.8))
        pulse.wait_until_said()
        process.send_signal(signal.SIGINT)
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    finals = [event for event in events if event["event"] == "final"]
    assert [final["text"] for final in finals] == TEXTS
    assert all(1.2 <= final["latency"] < 3 for final in finals), [
        final["latency"] for final in finals
    ]


def test_an_unplugged_microphone_is_reopened_when_it_returns(pulse):
    """The sound server is killed and started again some seconds later."""
    with subprocess.Popen(
        [*COMMAND, "--wait"],
        env=pulse.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        messages = [process.stderr.readline()]
        for _ in range(2):
            with pulse.plugged_in():
                while not messages[-1].startswith("listening"):
                    messages.append(process.stderr.readline())
                pulse.say(speech(gap=1.8))
                pulse.wait_until_said()
            messages.append(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        texts = final_texts(process.stdout)
        assert process.wait(10) == 0
    assert texts == 2 * TEXTS
    assert messages[0].startswith("warning: ")
    assert messages[0].endswith("; waiting for it\n")
    assert messages.count("warning: the microphone is gone; trying to open it again\n") == 2
