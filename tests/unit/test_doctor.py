"""`ds2edge doctor`: with a stand-in for the microphone; what real ones do is in slow/test_sound_system.py."""

import numpy as np
import pytest
from support import GOLDEN, RATE, babble

from ds2edge.runtime.commands import doctor
from ds2edge.runtime.commands.doctor import NOTE, OK, PROBLEM, findings
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.microphone import Device
from ds2edge.runtime.live.sources import Block


@pytest.fixture
def microphone(monkeypatch):
    """A function that plugs in a microphone which hears the given sound, or raises what it is given."""

    def plug_in(sound, overflows: int = 0, devices: int = 1) -> None:
        class Plugged:
            def __init__(self, name, rate) -> None:
                self.heard_name, self.overflows = "USB", overflows

            def __enter__(self):
                if isinstance(sound, Exception):
                    raise sound
                return self

            def __exit__(self, *raised) -> None:
                pass

            def takes(self, rate: int) -> bool:
                return rate in (44100, 48000)

            def blocks(self, stop, until):
                for first in range(0, len(sound), 1600):
                    if stop.is_set():
                        return
                    yield Block(sound[first : first + 1600], RATE, 0.0)

        monkeypatch.setattr(doctor, "Microphone", Plugged)
        monkeypatch.setattr(
            doctor, "list_devices", lambda: [Device(0, "USB", 1, RATE, True)] * devices
        )

    return plug_in


def looked(model=GOLDEN) -> dict[str, tuple[str, str]]:
    """State and text of every finding, the worst of each kind."""
    found: dict[str, tuple[str, str]] = {}
    for finding in findings(model, None, 1.0):
        if finding.what not in found or finding.state != OK:
            found[finding.what] = (finding.state, finding.says)
    return found


def test_a_machine_that_is_well(microphone):
    microphone(babble(3.0))
    found = looked()
    assert {what for what, (state, _) in found.items() if state == PROBLEM} == set()
    assert set(found) == {
        "python",
        "interpreter",
        "model",
        "speed",
        "formats",
        "microphone",
        "sample rates",
        "level",
        "overflow",
    }
    assert found["sample rates"][1] == "44100, 48000 Hz"
    assert "real-time factor" in found["speed"][1]
    assert found["model"][0] == NOTE  # the golden model has fixed bounds


@pytest.mark.parametrize(
    ("sound", "overflows", "what", "says"),
    [
        (np.zeros(3 * RATE, np.int16), 0, "level", "muted"),
        (0.001 * babble(3.0), 0, "level", "raise the capture level"),
        (np.clip(20 * babble(3.0), -1, 1), 0, "level", "lower the capture level"),
        (np.zeros(0, np.int16), 0, "level", "gives no sound"),
        (babble(3.0), 3, "overflow", "3 times sound was lost"),
        (InputError("USB: cannot be opened"), 0, "microphone", "cannot be opened"),
    ],
)
def test_what_is_wrong_with_a_microphone_is_said_with_what_to_do(
    microphone, sound, overflows, what, says
):
    microphone(sound, overflows)
    state, text = looked()[what]
    assert state == PROBLEM
    assert says in text


def test_no_microphone_and_a_wrong_model(microphone, tmp_path):
    microphone(babble(1.0), devices=0)
    (tmp_path / "wrong.tflite").write_bytes(b"these are words")
    found = looked(tmp_path / "wrong.tflite")
    assert found["microphone"][0] == found["model"][0] == PROBLEM
    assert "plug one in" in found["microphone"][1]
    assert "wrong.tflite" in found["model"][1]


def test_the_command(ds2edge, tmp_path):
    done = ds2edge("doctor", "-m", GOLDEN, "--no-microphone")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines()][:3] == [
        "python",
        "interpreter",
        "model",
    ]
    done = ds2edge("doctor", "-m", tmp_path / "none.tflite", "--no-microphone", "--json")
    assert done.returncode == 1
    assert '"state": "problem"' in done.stdout
    assert "Traceback" not in done.stderr
