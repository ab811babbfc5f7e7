"""Reading valid and broken sound files."""

import logging
import os
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import RATE, babble, film

from ds2edge.runtime.audio.channels import to_float
from ds2edge.runtime.audio.file_types import find_audio_files, is_audio
from ds2edge.runtime.audio.libsndfile import PIECE
from ds2edge.runtime.audio.reader import AudioFile, read_audio, scan_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.augmentation.sound_files import sound_files


def test_the_blocks_of_a_file_are_its_samples(wav):
    path = wav("a.wav", seconds=2.5)
    blocks = list(AudioFile(path).blocks(seconds=1.0))
    assert [len(b) for b in blocks] == [RATE, RATE, RATE // 2]
    np.testing.assert_array_equal(np.concatenate(blocks), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_to_the_same_sound(wav, rate):
    samples = read_audio(wav("a.wav", rate=rate), RATE)
    assert len(samples) == pytest.approx(RATE, abs=2)
    spectrum = np.abs(np.fft.rfft(samples[:RATE]))
    assert {180, 620, 1400, 2600} <= set(np.argsort(spectrum)[-12:])


@pytest.mark.parametrize(("kind", "full"), [(np.int16, 2**15), (np.int32, 2**31)])
def test_integers_become_minus_one_to_one(kind, full):
    assert to_float(np.array([-full, 0, full // 2], kind))[:, 0].tolist() == [-1.0, 0.0, 0.5]


def test_other_integers_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        to_float(np.zeros(3, np.uint8))


def test_nan_and_infinity_become_silence():
    samples = np.array([0.5, np.nan, np.inf, -np.inf], np.float32)
    assert to_float(samples)[:, 0].tolist() == [0.5, 0.0, 0.0, 0.0]


def test_a_truncated_wav_is_read_as_far_as_it_goes_with_a_warning(wav, caplog):
    path = wav("a.wav")
    path.write_bytes(path.read_bytes()[: RATE + 44])  # half of it
    with caplog.at_level(logging.WARNING, "ds2edge"):
        assert len(read_audio(path, RATE)) == RATE // 2
    assert "cut short" in caplog.text
    assert str(path) in caplog.text


def test_a_truncated_flac_is_read_as_far_as_it_goes_with_a_warning(wav, caplog):
    path = wav("a.flac", seconds=4)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "ds2edge"):
        samples = read_audio(path, RATE)
    assert 0 < len(samples) < 4 * RATE
    assert "cut short" in caplog.text


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.0, 60.0])
def test_nothing_before_an_error_is_lost_however_much_is_read_at_once(wav, caplog, seconds):
    whole = read_audio(path := wav("a.flac", seconds=4), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples = np.concatenate(list(AudioFile(path).blocks(seconds)))
    np.testing.assert_array_equal(samples, whole[: len(samples)])
    readable = len(np.concatenate(list(AudioFile(path).blocks(1 / RATE))))
    assert readable - PIECE < len(samples) <= readable
    assert "cut short" in caplog.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "not a readable sound file"),
        (b"words, not sound\n" * 9, "not a readable sound file"),
    ],
)
def test_a_file_without_sound_is_refused_by_name(tmp_path, content, says):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        AudioFile(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_wav_without_samples_is_refused(wav):
    with pytest.raises(InputError, match="no audio"):
        AudioFile(wav("a.wav", seconds=0))


def streamed(data: bytes) -> bytes:
    """Sets the length in the header of a FLAC to unknown, as an encoder writing to a pipe does."""
    return data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:]


def test_a_streamed_flac_is_read_to_its_end_without_warning(wav, caplog):
    path = wav("a.flac", seconds=3.3)
    path.write_bytes(streamed(path.read_bytes()))
    audio = scan_audio(path)
    assert audio.level.samples == int(3.3 * RATE)
    assert not audio.warnings()


def test_gsm_is_read_although_it_is_not_seekable(wav):
    audio = scan_audio(wav("a.wav", rate=8000, subtype="GSM610"))
    assert audio.level.samples == pytest.approx(8000, abs=320)
    assert not audio.warnings()


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.8])
def test_a_truncated_mp3_is_read_as_far_as_it_goes_and_nothing_twice(wav, caplog, cut):
    path = wav("a.mp3", seconds=4)
    whole = read_audio(path, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    samples = read_audio(path, RATE)
    assert len(samples) == pytest.approx(cut * 4 * RATE, abs=0.2 * RATE)
    complete = len(samples) - 2000  # the last frame lacks its overlap with the next one
    np.testing.assert_allclose(samples[:complete], whole[:complete], atol=1e-3)
    assert "cut short" in caplog.text


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus", "wav", "flac", "aiff"])
@pytest.mark.parametrize("rates", [(16000, 16000, 16000), (16000, 48000)])
def test_concatenated_files_are_read_to_the_end(tmp_path, suffix, rates):
    one = [tmp_path / f"{number}.{suffix}" for number in range(len(rates))]
    form = {"mp3": ("MP3", None), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
    form = form.get(suffix, (suffix.upper(), None))
    for part, rate in zip(one, rates, strict=True):
        soundfile.write(part, babble(1.5, rate), rate, format=form[0], subtype=form[1])
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in one))
    samples = read_audio(path, RATE)
    alone = read_audio(one[0], RATE)
    assert len(samples) == pytest.approx(len(rates) * len(alone), abs=100 * len(rates))
    np.testing.assert_allclose(samples[: RATE // 2], alone[: RATE // 2], atol=1e-6)
    again = samples[-len(alone) :]
    assert np.sqrt(np.mean(again**2)) == pytest.approx(np.sqrt(np.mean(alone**2)), rel=0.1)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_wav_files_without_a_size_are_read_to_the_end_when_concatenated(tmp_path, size):
    """As recorders write them into a pipe, or leave them when they are killed."""
    data = b""
    for seconds in (0.5, 0.7):
        soundfile.write(tmp_path / "part.wav", babble(seconds), RATE)
        part = bytearray((tmp_path / "part.wav").read_bytes())
        place = part.index(b"data") + 4
        part[4:8] = part[place : place + 4] = size.to_bytes(4, "little")
        data += part
    (tmp_path / "all.wav").write_bytes(data)
    assert len(read_audio(tmp_path / "all.wav", RATE)) >= 1.2 * RATE


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.mp3", "a.aac", "a.webm", "a.wma"])
@pytest.mark.parametrize("seconds", [2.5, 8.0])
def test_of_a_truncated_file_what_is_there_is_read_with_a_warning(tmp_path, caplog, name, seconds):
    path = tmp_path / name
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(int(seconds * 48000)).astype(np.float32)
    codecs = {"a.aac": "aac", "a.webm": "libopus", "a.wma": "wmav2"}
    if name in codecs:
        film(path, codecs[name], sound, 48000)
    else:
        opus = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
        soundfile.write(path, sound, 48000, **opus)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    read = read_audio(path, RATE)
    assert 0.25 * seconds < len(read) / RATE < 0.7 * seconds  # the bit rate varies
    if seconds > 3 or name != "a.wma":  # FFmpeg's headers may count up to 0.5 s of padding
        assert "the file is cut short" in caplog.text


def test_an_unreadable_part_of_a_concatenated_file_is_skipped(tmp_path, caplog):
    soundfile.write(tmp_path / "a.ogg", babble(1.0), RATE, format="OGG", subtype="VORBIS")
    data = (tmp_path / "a.ogg").read_bytes()
    broken = data[:28] + bytes(30) + data[58:]
    (tmp_path / "b.ogg").write_bytes(data + broken + data)
    assert len(read_audio(tmp_path / "b.ogg", RATE)) == 2 * RATE
    assert "part 2 of it cannot be read and is skipped" in caplog.text


@pytest.mark.parametrize(
    "data", [b"OggS" + bytes(100), b"OggS" * 50, b"ID3" + bytes(100), b"\xff\xfb\x90" * 99]
)
def test_a_file_that_only_starts_like_sound_is_refused(tmp_path, data):
    (tmp_path / "a.ogg").write_bytes(data)
    with pytest.raises(InputError, match="not a readable sound file"):
        AudioFile(tmp_path / "a.ogg")


def without_xing_frame(data: bytes) -> bytes:
    """Removes the Xing frame of an MP3, which declares the number of frames."""
    mark = max(data.find(b"Xing"), data.find(b"Info"))
    start = data.rfind(b"\xff", 0, mark)
    return data[data.find(data[start : start + 2], mark) :]


@pytest.mark.parametrize("quiet_first", [True, False])
def test_an_mp3_without_xing_frame_is_read_to_its_end(tmp_path, quiet_first):
    sound = np.concatenate([np.zeros(3 * RATE), babble(3.0)][:: 1 if quiet_first else -1])
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.2)
    path.write_bytes(b"\0" * 700 + without_xing_frame(path.read_bytes()))
    audio = scan_audio(path)
    assert audio.level.samples == pytest.approx(6 * RATE, abs=0.15 * RATE)
    assert not audio.warnings()


@pytest.mark.parametrize("rate", [50, 2_000_000_000])
def test_an_implausible_sample_rate_is_refused(wav, rate):
    path = wav("a.wav")
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"at {rate} Hz"):
        AudioFile(path)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.m4a", "aac", RATE),
        ("a.mp4", "aac", 44100),
        ("a.webm", "libopus", 48000),
        ("a.mkv", "ac3", 48000),
        ("a.wma", "wmav2", 44100),
    ],
)
def test_formats_of_phones_and_browsers_are_read_with_ffmpeg(tmp_path, name, codec, rate):
    sound = babble(2.0, rate)
    film(tmp_path / name, codec, sound, rate)
    audio = scan_audio(tmp_path / name)
    assert audio.rate == rate
    assert audio.level.samples == pytest.approx(2 * rate, abs=0.15 * rate)
    assert audio.level.mean == pytest.approx(10 * np.log10(np.mean(sound**2)), abs=1.5)
    assert not audio.warnings()


def test_without_pyav_the_error_names_the_remedy(tmp_path, monkeypatch):
    film(tmp_path / "a.m4a", "aac", babble(0.5))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        InputError,
        match=r"a\.m4a: not a readable .*pip install '\.\[formats\]'.*ffmpeg",
    ):
        AudioFile(tmp_path / "a.m4a")


def test_playlists_are_refused(tmp_path, wav):
    (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{wav('b.wav')}\n")
    (tmp_path / "concat.txt").write_text(f"ffconcat version 1.0\nfile {tmp_path / 'b.wav'}\n")
    for name in ("a.m3u8", "concat.txt"):
        with pytest.raises(InputError, match="not a readable sound file"):
            AudioFile(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 500, "a\0b", "a.wav/b.wav"])
def test_an_impossible_file_name_is_an_input_error(wav, name):
    with pytest.raises(InputError):
        AudioFile(wav("a.wav").parent / name)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_errors_of_pyav_are_input_errors(tmp_path, rate):
    (tmp_path / "a.au").write_bytes(
        b".snd" + struct.pack(">IIIII", 24, 1000, 0x390, rate, 1) + bytes(1000)
    )
    with pytest.raises(InputError, match="not a readable sound file"):
        AudioFile(tmp_path / "a.au")


def test_a_pipe_is_read_and_a_folder_is_refused(wav, tmp_path):
    path = wav("a.wav")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()))
    writer.start()
    assert len(read_audio(fifo, RATE)) == RATE
    writer.join()
    with pytest.raises(InputError, match="is a folder"):
        AudioFile(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("of its own"), MemoryError(), ValueError("x\ny")])
def test_any_error_of_a_decoder_is_a_one_line_input_error(wav, monkeypatch, error):
    path = wav("a.wav")
    audio = AudioFile(path)

    def fails(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "read", fails)
    with pytest.raises(InputError, match="holds no readable audio") as caught:
        list(audio.blocks())
    assert "\n" not in str(caught.value)


def test_a_midi_dump_and_an_mp3_with_another_suffix_print_nothing(tmp_path, capfd):
    """libsndfile prints checksum errors to standard output, libmpg123 warnings to the other."""
    sound = babble(0.5)
    soundfile.write(tmp_path / "a.sds", sound, RATE, subtype="PCM_16")
    dump = bytearray((tmp_path / "a.sds").read_bytes())
    dump[100] ^= 1
    (tmp_path / "dump.wav").write_bytes(dump)
    with pytest.raises(InputError, match="a MIDI sample dump"):
        read_audio(tmp_path / "dump.wav", RATE)
    soundfile.write(tmp_path / "a.mp3", sound, RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.mp3").read_bytes()[:-800])
    read_audio(tmp_path / "a.wav", RATE)
    assert capfd.readouterr() == ("", "")


def test_a_folder_with_the_name_of_a_sound_file_is_no_sound_file(tmp_path, wav):
    wav("a.wav")
    (tmp_path / "b.wav").mkdir()
    assert [path.name for path in find_audio_files(tmp_path)] == ["a.wav"]


def test_audio_suffixes_do_not_depend_on_case():
    assert all(map(is_audio, map(Path, ("a.wav", "b.FLAC", "c.Opus", "d.m4a", "e.WebM"))))
    assert not any(map(is_audio, map(Path, ("a.txt", "wav", "a.raw", "a.m3u8"))))


def test_a_folder_is_searched_without_system_files(tmp_path):
    wanted = ["a.wav", "deep/b.MP3", "deep/er/c.mp4"]
    ignored = ["._a.wav", "__MACOSX/a.wav", "$RECYCLE.BIN/a.wav", ".hidden/a.wav", "notes.txt"]
    for name in wanted + ignored:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_audio_files(tmp_path) == [tmp_path / name for name in wanted]
    with pytest.raises(InputError, match="holds no sound file"):
        find_audio_files(tmp_path / "__MACOSX" / "none")


def test_sounds_to_augment_with_are_searched_without_system_files(wav, tmp_path):
    noise = wav("noise.wav")
    (tmp_path / "._noise.wav").write_bytes(b"written by macOS")
    (tmp_path / "video.mp4").write_bytes(b"needs FFmpeg")
    assert sound_files(str(tmp_path)) == (noise, tmp_path / "video.mp4")
