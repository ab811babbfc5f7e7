"""The command `ds2edge doctor` with a fake microphone."""

from types import SimpleNamespace

import numpy as np
import pytest
from support import GOLDEN, RATE, babble

from ds2edge.runtime.commands import doctor
from ds2edge.runtime.commands.doctor import NOTE, OK, PROBLEM, findings
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.block import Block
from ds2edge.runtime.live.devices import Device


@pytest.fixture
def microphone(monkeypatch):
    """A function that plugs in a microphone; it records `sound`, or raises it if it is an error."""

    def plug_in(sound, overflows: int = 0, devices: int = 1) -> None:
        class FakeMicrophone:
            def __init__(self, name, rate, queue_seconds) -> None:
                self.device = Device(0, "USB", 1, RATE, True)
                self.overflows = overflows

            def __enter__(self):
                if isinstance(sound, Exception):
                    raise sound
                return self

            def __exit__(self, *exception) -> None:
                pass

            def supported_rates(self) -> list[int]:
                return [44100, 48000]

            def blocks(self, stop, until):
                for first in range(0, len(sound), 1600):
                    if stop.is_set():
                        return
                    yield Block(sound[first : first + 1600], RATE, 0.0)

        monkeypatch.setattr(doctor, "Microphone", FakeMicrophone)
        monkeypatch.setattr(
            doctor, "list_devices", lambda: [Device(0, "USB", 1, RATE, True)] * devices
        )

    return plug_in


def check(model=GOLDEN) -> dict[str, tuple[str, str]]:
    """State and text of the worst finding of each kind."""
    results: dict[str, tuple[str, str]] = {}
    for finding in findings(model, None, 1.0):
        if finding.what not in results or finding.state != OK:
            results[finding.what] = (finding.state, finding.says)
    return results


def test_a_machine_without_problems(microphone):
    microphone(babble(3.0))
    results = check()
    assert PROBLEM not in {state for state, _ in results.values()}
    kinds = ["python", "interpreter", "model", "speed", "formats"]
    assert list(results) == [*kinds, "microphone", "sample rates", "level", "overflow"]
    assert results["sample rates"][1] == "44100, 48000 Hz"
    assert "real-time factor" in results["speed"][1]
    assert results["model"][0] == NOTE  # the golden model has the older front end


@pytest.mark.parametrize(
    ("sound", "overflows", "what", "advice"),
    [
        (np.zeros(3 * RATE, np.int16), 0, "level", "muted"),
        (0.001 * babble(3.0), 0, "level", "raise the capture level"),
        (np.clip(20 * babble(3.0), -1, 1), 0, "level", "lower the capture level"),
        (np.zeros(0, np.int16), 0, "level", "gives no sound"),
        (babble(3.0), 3, "overflow", "sound was lost 3 times"),
        (InputError("USB: cannot be opened"), 0, "microphone", "cannot be opened"),
    ],
)
def test_a_problem_with_the_microphone_comes_with_advice(
    microphone, sound, overflows, what, advice
):
    microphone(sound, overflows)
    state, text = check()[what]
    assert state == PROBLEM
    assert advice in text


def test_a_missing_microphone_and_an_invalid_model_are_problems(microphone, tmp_path):
    microphone(babble(1.0), devices=0)
    (tmp_path / "wrong.tflite").write_bytes(b"these are words")
    results = check(tmp_path / "wrong.tflite")
    assert results["microphone"][0] == results["model"][0] == PROBLEM
    assert "plug one in" in results["microphone"][1]
    assert "wrong.tflite" in results["model"][1]


def test_the_command(ds2edge, tmp_path):
    done = ds2edge("doctor", "-m", GOLDEN, "--no-microphone")
    assert (done.returncode, done.stderr) == (0, "")
    kinds = [line.split()[1] for line in done.stdout.splitlines()]
    assert kinds[:3] == ["python", "interpreter", "model"]
    done = ds2edge("doctor", "-m", tmp_path / "none.tflite", "--no-microphone", "--json")
    assert done.returncode == 1
    assert '"state": "problem"' in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("factor", [0.8, 1.5])
def test_slow_recognition_is_a_note_or_a_problem(monkeypatch, factor):
    clock = iter([0.0, factor * doctor.SPEED_TEST_SECONDS])
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(clock))
    stream = SimpleNamespace(accept=lambda samples, rate: None, finish=lambda: None)
    finding = doctor._check_speed(SimpleNamespace(stream=lambda: stream))
    assert finding.state == (PROBLEM if factor > 1 else NOTE)
