"""Samples from a pipe, in pieces of any size, and files in real time."""

import os
import threading
import time
from threading import Event

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support import RATE, babble

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.wav_header import WavFormat
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.block import Block
from ds2edge.runtime.live.sources import play_file, read_pipe

PCM16 = WavFormat(RATE, 1, "S16_LE")


def pipe_blocks(
    data: bytes,
    cuts: list[int],
    pcm_format: WavFormat = PCM16,
    stop: Event | None = None,
    keep_open: bool = False,
) -> list[Block]:
    """The blocks of `read_pipe` when `data` is written in pieces that end at `cuts`."""
    reading, writing = os.pipe()

    def write() -> None:
        for first, last in zip([0, *cuts], [*cuts, len(data)], strict=True):
            os.write(writing, data[first:last])
        if not keep_open:
            os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return list(read_pipe(reading, pcm_format, stop or Event()))
    finally:
        thread.join()
        os.close(reading)
        if keep_open:
            os.close(writing)


@settings(max_examples=50, deadline=None)
@given(
    data=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=9),
    channels=st.integers(1, 3),
)
def test_how_a_pipe_is_split_changes_nothing(data, cuts, channels):
    if data.startswith(b"RIFF"):
        return
    cuts = sorted(min(cut, len(data)) for cut in cuts)
    blocks = pipe_blocks(data, cuts, WavFormat(8000, channels, "S16_LE"))
    whole = len(data) - len(data) % (2 * channels)
    empty = np.zeros((0, channels), np.int16)
    samples = np.concatenate([empty, *(block.samples for block in blocks)])
    np.testing.assert_array_equal(samples, np.frombuffer(data[:whole], "<i2").reshape(-1, channels))
    assert all(block.rate == 8000 and len(block.samples) for block in blocks)


@pytest.mark.parametrize(
    ("name", "kind"), [("S16_LE", "<i2"), ("S32_LE", "<i4"), ("FLOAT_LE", "<f4")]
)
def test_formats_are_those_of_arecord(name, kind):
    samples = np.array([1, -2, 3], kind)
    (block,) = pipe_blocks(samples.tobytes(), [], WavFormat(RATE, 1, name))
    assert block.samples.dtype == np.dtype(kind)
    assert block.samples[:, 0].tolist() == [1, -2, 3]


def test_an_incomplete_last_sample_is_dropped_with_a_warning(caplog):
    (block,) = pipe_blocks(b"\1\0\2\0\3", [])
    assert block.samples[:, 0].tolist() == [1, 2]
    assert "in the middle of a sample: 1 bytes dropped" in caplog.text


@pytest.mark.parametrize(
    ("subtype", "kind"), [("PCM_16", "<i2"), ("PCM_32", "<i4"), ("FLOAT", "<f4")]
)
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("length", ["known", 0, 0xFFFFFFFF])
def test_the_header_of_a_wav_overrides_the_options(tmp_path, subtype, kind, form, length):
    sound = np.stack([babble(0.01, 44100), -babble(0.01, 44100)], 1)
    soundfile.write(tmp_path / "a.wav", sound, 44100, subtype=subtype, format=form)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    place = data.find(b"data")
    if length == "known":
        data += b"LIST\4\0\0\0INFO"
    else:
        data[place + 4 : place + 8] = length.to_bytes(4, "little")
    blocks = pipe_blocks(bytes(data), [1, 3, 30, place + 9])
    assert {block.rate for block in blocks} == {44100}
    samples = np.concatenate([block.samples for block in blocks])
    assert samples.dtype == np.dtype(kind)
    np.testing.assert_allclose(to_float(samples), sound, atol=1e-4)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "but is none"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "without a format"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0\1\0data\0\0\0\0", "cut short"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\0\0\0\3\0\x18\0data", "24 bits"),
        (b"RIFF\0\0\0\0WAVEJUNK\xff\xff\xff\x7f", "without a format"),
    ],
)
def test_an_invalid_wav_is_an_input_error(data, says):
    with pytest.raises(InputError, match=says):
        pipe_blocks(data, [3])


def test_a_wav_that_ends_within_its_header_gives_a_warning(caplog):
    assert pipe_blocks(b"RIFF\0\0\0\0WAVEfmt ", [5]) == []
    assert "ended within the header of a WAV" in caplog.text


def test_one_channel_is_selected_and_a_missing_one_refused():
    block = Block(np.array([[1, 2], [3, 4]], np.int16), RATE, 0.0)
    assert block.select_channel(2).samples.tolist() == [2, 4]
    with pytest.raises(InputError, match="has no channel 3: the highest is 2"):
        block.select_channel(3)


def test_stop_ends_a_silent_pipe():
    stop = Event()
    threading.Timer(0.1, stop.set).start()
    assert pipe_blocks(b"", [], stop=stop, keep_open=True) == []


def test_a_file_is_played_in_real_time(wav):
    path = wav("a.wav", seconds=0.5)
    started = time.monotonic()
    blocks = []
    late = []
    for block in play_file(path, Event(), seconds=0.1):
        blocks.append(block.samples)
        late.append(time.monotonic() - started - 0.1 * len(blocks))
    assert min(late) >= -0.001
    assert time.monotonic() - started >= 0.5
    np.testing.assert_allclose(np.concatenate(blocks), babble(0.5), atol=1e-4)


def test_stop_ends_a_file(wav):
    stop = Event()
    blocks = play_file(wav("a.wav", seconds=60), stop)
    next(blocks)
    stop.set()
    assert list(blocks) == []
