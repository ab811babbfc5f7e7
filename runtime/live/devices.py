"""Lists the microphones of this machine through PyAudio (PortAudio) and finds one by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.quiet import quiet

NO_MICROPHONE = "no microphone found: plug one in (`arecord -l` lists what the system sees)"


@dataclass(frozen=True)
class Device:
    """An input device of PortAudio."""

    index: int  # changes when devices come and go
    name: str
    channels: int
    rate: int  # default sample rate in Hz
    default: bool


def load_pyaudio() -> Any:
    """Returns the module pyaudio. Raises InputError if it is not installed."""
    try:
        import pyaudio
    except ImportError:
        raise InputError(
            "a microphone needs PyAudio: apt-get install python3-pyaudio, or "
            "pip install '.[mic]' in the checkout of ds2edge; "
            "without it: arecord -t raw -f S16_LE -r 16000 | ds2edge listen --stdin"
        ) from None
    return pyaudio


def input_devices(audio: Any) -> list[Device]:
    """Returns the input devices of a pyaudio.PyAudio."""
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = None
    infos = [audio.get_device_info_by_index(index) for index in range(audio.get_device_count())]
    return [
        Device(
            index=info["index"],
            name=info["name"],
            channels=int(info["maxInputChannels"]),
            rate=int(info["defaultSampleRate"]),
            default=info["index"] == default,
        )
        for info in infos
        if info["maxInputChannels"] > 0
    ]


def list_devices() -> list[Device]:
    """Returns the input devices of this machine. Raises InputError without PyAudio."""
    with quiet():
        audio = load_pyaudio().PyAudio()
        try:
            return input_devices(audio)
        finally:
            audio.terminate()


def find_device(devices: list[Device], name: str | None) -> Device:
    """Returns the device with a name, or the only one whose name contains it; None: the default.

    Raises InputError if there is none or more than one.
    """
    if name is None:
        matches = [device for device in devices if device.default] or devices[:1]
    else:
        matches = [device for device in devices if device.name == name] or [
            device for device in devices if name.casefold() in device.name.casefold()
        ]
    if len(matches) == 1:
        return matches[0]
    if name is None:
        raise InputError(NO_MICROPHONE)
    names = ", ".join(repr(device.name) for device in matches or devices) or "none"
    if matches:
        raise InputError(f"several microphones match {name!r}: {names}: give more of the name")
    raise InputError(f"no microphone {name!r} (there are: {names})")
