"""The microphone, with a stand-in for PyAudio: what real devices do is in slow/test_sound_system.py."""

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
from ds2edge.runtime.live.microphone import Device, Microphone, choose, list_devices


class FakeSystem:
    """PortAudio as far as the kit knows it: what is plugged in, at which rates and channels it opens."""

    def __init__(self) -> None:
        self.names = ["HDA Intel: ALC (hw:0,0)", "USB PnP Sound Device: Audio (hw:1,0)"]
        self.rates = {16000}
        self.least_channels = 1
        self.opened: list[tuple[int, int, int]] = []
        self.streams: list[FakeStream] = []
        self.terminated = 0


class FakeStream:
    def __init__(self, callback, channels: int) -> None:
        self.callback, self.channels, self.active, self.closed = callback, channels, True, False

    def is_active(self) -> bool:
        return self.active

    def close(self) -> None:
        self.closed = True
        raise OSError(-9999, "Unanticipated host error")  # as of a device that is gone

    def hear(self, value: int, samples: int = 160) -> None:
        assert self.callback(
            np.full(samples * self.channels, value, np.int16).tobytes(), samples, {}, 0
        ) == (None, 0)


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
            if channels < fake.least_channels:
                raise OSError(-9998, "Invalid number of channels")
            fake.opened.append((input_device_index, rate, channels))
            fake.streams.append(FakeStream(stream_callback, channels))
            return fake.streams[-1]

        def terminate(self) -> None:
            fake.terminated += 1

    monkeypatch.setitem(
        sys.modules, "pyaudio", types.SimpleNamespace(PyAudio=PyAudio, paInt16=8, paContinue=0)
    )
    return fake


def test_the_default_microphone_is_opened_at_the_rate_of_the_model(system):
    with Microphone(None, 16000) as heard:
        system.streams[0].hear(7)
        block = next(heard.blocks(Event()))
    assert system.opened == [(0, 16000, 1)]
    assert (block.rate, block.samples[:, 0].tolist()) == (16000, [7] * 160)
    assert system.streams[0].closed
    assert system.terminated == 1


def test_a_device_that_refuses_16_khz_is_opened_at_its_own_rate(system):
    system.rates = {48000}
    with Microphone("usb pnp", 16000) as heard:
        system.streams[0].hear(7)
        assert next(heard.blocks(Event())).rate == 48000
    assert system.opened == [(1, 48000, 1)]


def test_a_device_that_refuses_mono_is_opened_with_its_channels(system):
    system.rates, system.least_channels = {48000}, 2
    with Microphone(None, 16000) as heard:
        system.streams[0].hear(7)
        assert next(heard.blocks(Event())).samples.shape == (160, 2)
    assert system.opened == [(0, 48000, 2)]


def test_a_device_that_takes_nothing_is_an_error_that_names_it(system):
    system.rates = set()
    with (
        pytest.raises(InputError, match=r"HDA Intel.*cannot be opened \(Invalid sample rate\)"),
        Microphone(None, 16000),
    ):
        pass
    assert system.terminated == 1


def test_names_are_found_whole_or_by_a_part():
    inputs = [
        Device(i, name, 1, 48000, i == 1)
        for i, name in enumerate(["USB", "USB two", "HDA", "USB two b"])
    ]
    assert choose(inputs, None).name == "USB two"
    assert choose(inputs, "USB").name == "USB"
    assert choose(inputs, "hda").name == "HDA"
    with pytest.raises(
        InputError, match="'two' is the name of several microphones: 'USB two', 'USB two b'"
    ):
        choose(inputs, "two")
    with pytest.raises(
        InputError,
        match=r"no microphone 'none' \(there are: 'USB', 'USB two', 'HDA', 'USB two b'\)",
    ):
        choose(inputs, "none")
    with pytest.raises(InputError, match="no microphone found"):
        choose([], None)


def test_outputs_are_not_listed(system):
    assert [(device.name, device.default) for device in list_devices()] == [
        ("HDA Intel: ALC (hw:0,0)", True),
        ("USB PnP Sound Device: Audio (hw:1,0)", False),
    ]
    assert system.terminated == 1


def test_a_lost_microphone_is_opened_again_wherever_it_comes_back(system, monkeypatch, caplog):
    """Unplugged, away for two tries, back under another index and another rate."""
    caplog.set_level("INFO", "ds2edge")
    monkeypatch.setattr(microphone, "RETRY", (0.01, 0.02))
    with Microphone("USB PnP", 16000) as heard:
        blocks = heard.blocks(Event())
        system.streams[0].hear(1)
        assert next(blocks).samples[0, 0] == 1
        system.names, system.rates = ["HDA Intel"], {48000}
        system.streams[0].active = False

        def plug_in() -> None:
            while system.terminated < 3:
                time.sleep(0.001)
            system.names = ["USB PnP Sound Device: Audio (hw:0,0)", "HDA Intel"]
            while len(system.streams) < 2:
                time.sleep(0.001)
            system.streams[1].hear(2)

        thread = threading.Thread(target=plug_in)
        thread.start()
        block = next(blocks)
        thread.join()
    assert (block.samples[0, 0], block.rate) == (2, 48000)
    assert system.opened == [(1, 16000, 1), (0, 48000, 1)]
    said = [record.getMessage() for record in caplog.records]
    assert said[1] == "the microphone is gone; trying to open it again"
    assert said[2].startswith("no microphone 'USB PnP' (there are: 'HDA Intel')")
    assert said[-1] == "listening to USB PnP Sound Device: Audio (hw:0,0) at 48000 Hz"


def test_a_microphone_that_goes_silent_without_a_word_is_lost_too(system, monkeypatch, caplog):
    monkeypatch.setattr(microphone, "SILENT", 0.3)
    monkeypatch.setattr(microphone, "RETRY", (0.01, 0.02))
    stop = Event()
    threading.Timer(1.0, stop.set).start()
    with Microphone(None, 16000) as heard:
        assert list(heard.blocks(stop)) == []
    assert len(system.opened) >= 2
    assert "the microphone is gone" in caplog.text


def test_a_missing_microphone_is_waited_for_where_that_was_asked(system, monkeypatch):
    monkeypatch.setattr(microphone, "RETRY", (0.01, 0.02))
    system.names = []
    with pytest.raises(InputError, match="no microphone found"), Microphone(None, 16000):
        pass
    with Microphone(None, 16000, wait=True) as heard:
        system.names = ["USB"]
        threading.Timer(0.3, lambda: system.streams[0].hear(5)).start()
        assert next(heard.blocks(Event())).samples[0, 0] == 5


def test_sound_that_comes_too_fast_is_dropped_and_reported(system, monkeypatch, caplog):
    monkeypatch.setattr(microphone, "CAPACITY", 1.0)
    with Microphone(None, 16000) as heard:
        for number in range(30):
            system.streams[0].hear(number, samples=1600)
        blocks = heard.blocks(Event())
        assert [next(blocks).samples[0, 0] for _ in range(10)] == list(range(20, 30))
        for _ in range(5):  # soon after: said once, at the end
            for number in range(11):
                system.streams[0].hear(number, samples=1600)
            next(blocks)
    assert [r.getMessage() for r in caplog.records] == [
        "the recogniser is too slow: 2.0 s of sound dropped so far",
        "the recogniser is too slow: 6.1 s of sound dropped so far",
    ]


def test_chatter_of_c_libraries_is_thrown_away_and_ours_is_not(system, capfd):
    with Microphone(None, 16000):
        os.write(2, b"jack server is not running\n")
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_without_pyaudio_the_error_names_the_package_and_the_other_way(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(
        InputError, match=r"apt-get install python3-pyaudio.*\[mic\].*arecord .* --stdin"
    ):
        Microphone(None, 16000).__enter__()
