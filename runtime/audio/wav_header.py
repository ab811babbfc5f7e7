"""Parses the header of a WAV that arrives through a pipe."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ds2edge.runtime.audio.channels import MAX_CHANNELS
from ds2edge.runtime.errors import InputError

MAX_HEADER = 1 << 20  # bytes
MIN_RATE = 1000  # Hz
MAX_RATE = 1_000_000  # Hz
# A WAV written to a pipe cannot know its length: its header says 0 or about the most that fits.
UNKNOWN_BYTES = 0x7FFFF000
# Format tags of RFC 2361.
PCM = 1
FLOAT = 3
EXTENSIBLE = 0xFFFE
SAMPLE_FORMATS = {(PCM, 16): "S16_LE", (PCM, 32): "S32_LE", (FLOAT, 32): "FLOAT_LE"}
REMEDY = "use arecord -t raw"


class WavFormat(NamedTuple):
    """The `fmt ` chunk of a WAV."""

    rate: int  # Hz
    channels: int
    sample_format: str  # one of arecord's names


class WavHeader(NamedTuple):
    """What the header of a WAV says."""

    size: int  # bytes of the header itself
    format: WavFormat
    audio_bytes: int | None  # None if unknown


def parse_wav_header(data: bytes) -> WavHeader | None:
    """Parses the header at the start of `data`; None if it needs more bytes.

    Raises InputError if the header is invalid or the samples have another format than the kit
    reads.
    """
    if len(data) >= 12 and data[8:12] != b"WAVE":
        raise InputError(f"standard input starts like a WAV but is none: {REMEDY}")
    position = 12
    wav_format = None
    while position + 8 <= len(data):
        name = data[position : position + 4]
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        start = position + 8
        if name == b"data" and wav_format is not None:
            audio_bytes = None if size == 0 or size >= UNKNOWN_BYTES else size
            return WavHeader(start, wav_format, audio_bytes)
        if name == b"fmt " and start + size <= len(data):
            wav_format = _parse_format(data[start : start + size])
        position = start + size + size % 2
        if name == b"data" or position > MAX_HEADER:
            raise InputError(f"standard input: a WAV without a format before its sound: {REMEDY}")
    return None


def _parse_format(chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise InputError(f"standard input: the format of the WAV is cut short: {REMEDY}")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    sample_format = SAMPLE_FORMATS.get((tag, bits))
    plausible = 1 <= channels <= MAX_CHANNELS and MIN_RATE <= rate <= MAX_RATE
    if sample_format is None or not plausible:
        raise InputError(
            f"standard input: a WAV of format {tag}, {bits} bits, {channels} channels at {rate} Hz "
            "cannot be read: convert it to 16 bits, such as ffmpeg -i IN -c:a pcm_s16le -f wav -"
        )
    return WavFormat(rate, channels, sample_format)
