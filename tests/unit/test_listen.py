"""The command `ds2edge listen` on standard input and on files."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner
from support import GOLDEN, RATE, SPOKEN, int16, speech

from ds2edge.runtime.commands import listen as listen_command
from ds2edge.runtime.live.devices import NO_MICROPHONE, Device

COMMAND = [str(Path(sys.executable).with_name("ds2edge")), "listen", "-m", str(GOLDEN)]
PCM = int16(speech()).tobytes()
TEXTS = list(SPOKEN)


def listen(samples: bytes, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Runs the command with raw samples on standard input."""
    command = [*COMMAND, "--stdin", *map(str, arguments)]
    return subprocess.run(command, input=samples, capture_output=True, check=False)


def test_each_utterance_is_printed_on_a_line():
    done = listen(PCM)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == TEXTS


def test_json_events_are_partials_and_finals():
    with subprocess.Popen(
        [*COMMAND, "--stdin", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for first in range(0, len(PCM), 3200):
            process.stdin.write(PCM[first : first + 3200])
            process.stdin.flush()
            time.sleep(0.01)
        process.stdin.close()
        events = [json.loads(line) for line in process.stdout]
    finals = [event for event in events if event["event"] == "final"]
    assert [final["text"] for final in finals] == TEXTS
    for final in finals:
        assert final["text"] == " ".join(word["text"] for word in final["words"])
        assert final["start"] == final["words"][0]["start"]
        assert final["end"] == final["words"][-1]["end"]
        assert 0.5 < final["confidence"] <= 1
        assert 1.2 <= final["latency"] < 3
    partials = [event["text"] for event in events if event["event"] == "partial"]
    assert len(partials) >= 6
    assert all(any(text.startswith(partial) for text in TEXTS) for partial in partials)


def test_options_set_the_endpoint_rules():
    assert listen(PCM, "--end-silence", 3).stdout.decode().splitlines() == [" ".join(TEXTS)]
    short = listen(PCM, "--end-length", 1).stdout.decode().splitlines()
    assert len(short) > 3
    # The length limit may split a word.
    assert "".join(short).replace(" ", "") == "".join(TEXTS).replace(" ", "")


@pytest.mark.parametrize("option", ["--end-silence", "--end-idle", "--end-length"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "never"])
def test_an_endpoint_rule_must_be_a_positive_time(option, value):
    done = listen(PCM, option, value)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_utterances_are_saved_and_logged(tmp_path):
    for _ in range(2):
        listen(PCM, "--save", tmp_path / "saved", "--log", tmp_path / "log.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "saved" / "manifest.jsonl").open()]
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [row["text"] for row in rows] == [event["text"] for event in logged] == 2 * TEXTS
    assert len({row["audio"] for row in rows}) == 6


def test_saved_utterances_have_the_same_text_when_transcribed(tmp_path, ds2edge):
    listen(PCM, "--save", tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").open()]
    again = ds2edge("transcribe", "-m", GOLDEN, *(tmp_path / row["audio"] for row in rows)).stdout
    assert [line.split(": ")[1] for line in again.splitlines()] == TEXTS


@pytest.mark.parametrize(
    ("name", "scale", "kind"), [("S32_LE", 2**31 - 1, "<i4"), ("FLOAT_LE", 1, "<f4")]
)
def test_other_sample_formats_and_channels_give_the_same_text(name, scale, kind):
    samples = np.repeat(speech().astype(np.float64)[:, None] * scale, 2, 1).astype(kind).tobytes()
    assert listen(samples, "--format", name, "--channels", 2).stdout.decode().splitlines() == TEXTS


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
def test_other_rates_are_resampled(rate):
    samples = soxr.resample(speech(), RATE, rate)
    texts = listen(int16(samples).tobytes(), "--rate", rate).stdout.decode().splitlines()
    if rate > RATE:
        assert texts == TEXTS
    else:  # half of the spectrum is missing, which this model was not trained on
        assert len(texts) == len(TEXTS)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([], f"{NO_MICROPHONE}\n"),
        (
            [Device(0, "HDA", 2, 48000, True), Device(1, "USB", 1, 16000, False)],
            "HDA: 2 channels, 48000 Hz (default)\nUSB: 1 channels, 16000 Hz\n",
        ),
    ],
)
def test_microphones_are_listed(monkeypatch, devices, expected):
    monkeypatch.setattr(listen_command, "list_devices", lambda: devices)
    result = CliRunner().invoke(listen_command.listen, ["--list-devices"])
    assert (result.exit_code, result.output) == (0, expected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stdin", "--file", "a.wav"), "exclude each other"),
        (("--stdin", "--device", "USB"), "exclude each other"),
        (("--file", "none.wav"), "none.wav: no such file"),
        (("--stdin", "--log", "/"), "/: cannot be written"),
        (("--stdin", "--save", "/dev/null"), "/dev/null/manifest.jsonl: cannot be written"),
    ],
)
def test_bad_input_is_one_line(ds2edge, arguments, says):
    done = ds2edge("listen", "-m", GOLDEN, *arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wav_on_standard_input_is_transcribed(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([speech(), -speech()], 1), RATE)
    done = listen((tmp_path / "a.wav").read_bytes(), "--rate", 8000)
    assert done.stdout.decode().splitlines() == TEXTS
    done = listen((tmp_path / "a.wav").read_bytes(), "--channel", 2)
    assert done.stdout.decode().splitlines() == TEXTS


def test_closed_standard_input_is_a_one_line_error():
    command = " ".join([*map(str, COMMAND), "--stdin", "<&-"])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard input is closed" in done.stderr


def test_an_incomplete_last_sample_is_dropped_with_a_warning():
    done = listen(PCM[:-1])
    assert done.stdout.decode().splitlines() == TEXTS
    warning = "warning: standard input ended in the middle of a sample: 1 bytes dropped\n"
    assert done.stderr.decode() == warning


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_the_last_words_are_transcribed(number):
    """The signal comes during the last clip."""
    samples = PCM[: -4 * RATE + 3200]
    with subprocess.Popen(
        [*COMMAND, "--stdin", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(samples)
        process.stdin.flush()
        events = [json.loads(process.stdout.readline())]
        while events[-1]["event"] != "final" or events[-1]["text"] != TEXTS[-2]:
            events.append(json.loads(process.stdout.readline()))
        time.sleep(0.3)
        process.send_signal(number)
        rest = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0
    assert rest[-1]["event"] == "final"
    assert rest[-1]["text"] == TEXTS[-1]


def test_a_terminal_shows_the_level_and_the_partial_text(tmp_path):
    """The live line is redrawn, and removed before a final is printed."""
    soundfile.write(tmp_path / "a.wav", speech(0.5), RATE)
    terminal, process_side = pty.openpty()
    command = [*COMMAND, "--file", str(tmp_path / "a.wav"), "--end-silence", "0.4"]
    with subprocess.Popen(command, stdout=process_side, stderr=process_side) as process:
        os.close(process_side)
        output = b""
        while True:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # the end of a pseudo-terminal
                break
        assert process.wait(10) == 0
    os.close(terminal)
    drawn = output.decode().split("\r\x1b[K")
    assert len(drawn) > 20
    unfinished = tuple(TEXTS[0][:letters] for letters in range(4, len(TEXTS[0])))
    assert any("█" in line and line.endswith(unfinished) for line in drawn)
    assert [line for line in drawn if line.endswith("\r\n")] == [text + "\r\n" for text in TEXTS]
