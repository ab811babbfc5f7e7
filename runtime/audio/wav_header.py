"""The header of a WAV that comes through a pipe."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ds2edge.runtime.errors import InputError

LONGEST = 1 << 20  # bytes before the sound
UNKNOWN = 0x7FFFF000  # bytes: a writer to a pipe cannot know how many come, and says the most, or 0
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
FORMATS = {(PCM, 16): "S16_LE", (PCM, 32): "S32_LE", (FLOAT, 32): "FLOAT_LE"}


class WavHeader(NamedTuple):
    """What a WAV says of its sound."""

    size: int  # bytes of the header itself
    rate: int  # Hz
    channels: int
    sample_format: str  # named as arecord does
    sound: int | None  # bytes; None if it does not know


def read_header(data: bytes) -> WavHeader | None:
    """The header at the beginning of `data`; None if more bytes are needed. InputError for one that is not readable."""
    place, form = 12, None
    if len(data) >= 12 and data[8:12] != b"WAVE":
        raise InputError(
            "standard input holds no WAV, though it begins as one: give arecord -t raw"
        )
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"data":
            if form is None:
                break
            return WavHeader(place + 8, *form, None if size == 0 or size >= UNKNOWN else size)
        if name == b"fmt " and place + 8 + size <= len(data):
            form = _form(data[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
        if place > LONGEST:
            break
    else:
        return None
    raise InputError("standard input: a WAV without a format before its sound: give arecord -t raw")


def _form(chunk: bytes) -> tuple[int, int, str]:
    if len(chunk) < 16:
        raise InputError("standard input: a WAV whose format is cut short: give arecord -t raw")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    sample_format = FORMATS.get((tag, bits))
    if sample_format is None or not 1 <= channels <= 64 or not 1000 <= rate <= 1_000_000:
        raise InputError(
            f"standard input: a WAV of format {tag}, {bits} bits, {channels} channels at {rate} Hz: give 16 or 32 "
            "bits, such as ffmpeg -i IN -c:a pcm_s16le -f wav -"
        )
    return rate, channels, sample_format
