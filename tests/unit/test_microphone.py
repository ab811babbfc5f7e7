"""The microphone with a fake PyAudio; slow/test_sound_system.py uses a real one."""

import os
import sys
import threading
import time
import types
from threading import Event

import numpy as np
import pytest

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live import microphone
from ds2edge.runtime.live.devices import Device, find_device, list_devices
from ds2edge.runtime.live.microphone import Microphone


class FakeSystem:
    """What the fake PortAudio has: its devices, and which rates and channels they accept."""

    def __init__(self) -> None:
        self.names = ["HDA Intel: ALC (hw:0,0)", "USB PnP Sound Device: Audio (hw:1,0)"]
        self.rates = {16000}
        self.min_channels = 1
        self.opened: list[tuple[int, int, int]] = []
        self.streams: list[FakeStream] = []
        self.terminated = 0


class FakeStream:
    def __init__(self, callback, channels: int) -> None:
        self.callback = callback
        self.channels = channels
        self.active = True
        self.closed = False

    def is_active(self) -> bool:
        return self.active

    def close(self) -> None:
        self.closed = True
        raise OSError(-9999, "Unanticipated host error")  # as an unplugged device does

    def record(self, value: int, samples: int = 160) -> None:
        data = np.full(samples * self.channels, value, np.int16).tobytes()
        assert self.callback(data, samples, {}, 0) == (None, 0)


@pytest.fixture
def system(monkeypatch):
    fake = FakeSystem()

    class PyAudio:
        def __init__(self) -> None:
            os.write(2, b"ALSA lib confmisc.c:855:(parse_card) cannot find card\n")
            self.names = list(fake.names)

        def get_device_count(self) -> int:
            return len(self.names) + 1

        def get_device_info_by_index(self, index: int) -> dict:
            inputs = 2 if index < len(self.names) else 0
            name = self.names[index] if inputs else "HDMI (output)"
            return {
                "index": index,
                "name": name,
                "maxInputChannels": inputs,
                "defaultSampleRate": 48000.0,
            }

        def get_default_input_device_info(self) -> dict:
            if not self.names:
                raise OSError("No Default Input Device Available")
            return self.get_device_info_by_index(0)

        def open(self, rate, channels, kind, *, stream_callback, input_device_index, **_):
            if rate not in fake.rates:
                raise OSError(-9997, "Invalid sample rate")
            if channels < fake.min_channels:
                raise OSError(-9998, "Invalid number of channels")
            fake.opened.append((input_device_index, rate, channels))
            fake.streams.append(FakeStream(stream_callback, channels))
            return fake.streams[-1]

        def is_format_supported(self, rate, *, input_device, input_channels, input_format):
            if rate not in fake.rates:
                raise ValueError("Invalid sample rate", -9997)
            return True

        def terminate(self) -> None:
            fake.terminated += 1

    monkeypatch.setitem(
        sys.modules, "pyaudio", types.SimpleNamespace(PyAudio=PyAudio, paInt16=8, paContinue=0)
    )
    return fake


def test_the_default_microphone_is_opened_at_the_wanted_rate(system):
    with Microphone(None, 16000) as recording:
        system.streams[0].record(7)
        block = next(recording.blocks(Event()))
    assert system.opened == [(0, 16000, 1)]
    assert (block.rate, block.samples[:, 0].tolist()) == (16000, [7] * 160)
    assert system.streams[0].closed
    assert system.terminated == 1


def test_a_device_that_refuses_16_khz_is_opened_at_its_own_rate(system):
    system.rates = {48000}
    with Microphone("usb pnp", 16000) as recording:
        system.streams[0].record(7)
        assert next(recording.blocks(Event())).rate == 48000
    assert system.opened == [(1, 48000, 1)]


def test_a_device_that_refuses_mono_is_opened_with_its_channels(system):
    system.rates, system.min_channels = {48000}, 2
    with Microphone(None, 16000) as recording:
        system.streams[0].record(7)
        assert next(recording.blocks(Event())).samples.shape == (160, 2)
    assert system.opened == [(0, 48000, 2)]


def test_a_device_that_accepts_no_format_is_an_error_that_names_it(system):
    system.rates = set()
    with (
        pytest.raises(InputError, match=r"HDA Intel.*cannot be opened \(Invalid sample rate\)"),
        Microphone(None, 16000),
    ):
        pass
    assert system.terminated == 1


def test_a_device_is_found_by_its_name_or_a_unique_part():
    inputs = [
        Device(i, name, 1, 48000, i == 1)
        for i, name in enumerate(["USB", "USB two", "HDA", "USB two b"])
    ]
    assert find_device(inputs, None).name == "USB two"
    assert find_device(inputs, "USB").name == "USB"
    assert find_device(inputs, "hda").name == "HDA"
    with pytest.raises(InputError, match="several microphones match 'two': 'USB two', 'USB two b'"):
        find_device(inputs, "two")
    with pytest.raises(
        InputError,
        match=r"no microphone 'none' \(there are: 'USB', 'USB two', 'HDA', 'USB two b'\)",
    ):
        find_device(inputs, "none")
    with pytest.raises(InputError, match="no microphone found"):
        find_device([], None)


def test_outputs_are_not_listed(system):
    assert [(device.name, device.default) for device in list_devices()] == [
        ("HDA Intel: ALC (hw:0,0)", True),
        ("USB PnP Sound Device: Audio (hw:1,0)", False),
    ]
    assert system.terminated == 1


def test_an_unplugged_microphone_is_reopened_wherever_it_returns(system, monkeypatch, caplog):
    """It is missing for two attempts and returns with another index and another rate."""
    caplog.set_level("INFO", "ds2edge")
    monkeypatch.setattr(microphone, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(microphone, "MAX_RETRY", 0.02)
    with Microphone("USB PnP", 16000) as recording:
        blocks = recording.blocks(Event())
        system.streams[0].record(1)
        assert next(blocks).samples[0, 0] == 1
        system.names, system.rates = ["HDA Intel"], {48000}
        system.streams[0].active = False

        def plug_in() -> None:
            while system.terminated < 3:
                time.sleep(0.001)
            system.names = ["USB PnP Sound Device: Audio (hw:0,0)", "HDA Intel"]
            while len(system.streams) < 2:
                time.sleep(0.001)
            system.streams[1].record(2)

        thread = threading.Thread(target=plug_in)
        thread.start()
        block = next(blocks)
        thread.join()
    assert (block.samples[0, 0], block.rate) == (2, 48000)
    assert system.opened == [(1, 16000, 1), (0, 48000, 1)]
    messages = [record.getMessage() for record in caplog.records]
    assert messages[1] == "the microphone is gone; trying to open it again"
    assert messages[2].startswith("no microphone 'USB PnP' (there are: 'HDA Intel')")
    assert messages[-1] == "listening to USB PnP Sound Device: Audio (hw:0,0) at 48000 Hz"


def test_a_microphone_without_callbacks_counts_as_unplugged(system, monkeypatch, caplog):
    monkeypatch.setattr(microphone, "TIMEOUT", 0.3)
    monkeypatch.setattr(microphone, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(microphone, "MAX_RETRY", 0.02)
    stop = Event()
    threading.Timer(1.0, stop.set).start()
    with Microphone(None, 16000) as recording:
        assert list(recording.blocks(stop)) == []
    assert len(system.opened) >= 2
    assert "the microphone is gone" in caplog.text


def test_a_missing_microphone_is_waited_for_on_request(system, monkeypatch):
    monkeypatch.setattr(microphone, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(microphone, "MAX_RETRY", 0.02)
    system.names = []
    with pytest.raises(InputError, match="no microphone found"), Microphone(None, 16000):
        pass
    with Microphone(None, 16000, wait=True) as recording:
        system.names = ["USB"]
        threading.Timer(0.3, lambda: system.streams[0].record(5)).start()
        assert next(recording.blocks(Event())).samples[0, 0] == 5


def test_sound_that_arrives_too_fast_is_dropped_and_reported(system, caplog):
    with Microphone(None, 16000, queue_seconds=1.0) as recording:
        for number in range(30):
            system.streams[0].record(number, samples=1600)
        blocks = recording.blocks(Event())
        assert [next(blocks).samples[0, 0] for _ in range(10)] == list(range(20, 30))
        for _ in range(5):  # reported once, at the end
            for number in range(11):
                system.streams[0].record(number, samples=1600)
            next(blocks)
    assert [r.getMessage() for r in caplog.records] == [
        "recognition is too slow: 2.0 s of sound dropped so far",
        "recognition is too slow: 6.1 s of sound dropped so far",
    ]


def test_messages_of_c_libraries_are_discarded_and_ours_are_not(system, capfd):
    with Microphone(None, 16000):
        os.write(2, b"jack server is not running\n")
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_without_pyaudio_the_error_names_the_package_and_the_alternative(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(
        InputError, match=r"apt-get install python3-pyaudio.*\[mic\].*arecord .* --stdin"
    ):
        Microphone(None, 16000).__enter__()


def test_supported_rates_are_those_that_the_device_accepts(system):
    with Microphone() as recording:
        assert recording.device.name == system.names[0]
        assert recording.supported_rates() == [16000]
    assert Microphone().supported_rates() == []


def test_an_overflow_is_counted(system):
    with Microphone() as recording:
        system.streams[0].callback(bytes(320), 160, {}, microphone.INPUT_OVERFLOW)
        assert recording.overflows == 1
