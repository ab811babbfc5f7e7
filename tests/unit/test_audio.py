"""Reading sound files, good and bad."""

import logging

import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.audio import AudioFile, read_audio, to_mono
from ds2edge.runtime.errors import InputError


def test_blocks_are_the_file(wav):
    path = wav("a.wav", seconds=2.5)
    blocks = list(AudioFile(path).blocks(seconds=1.0))
    assert [len(b) for b in blocks] == [RATE, RATE, RATE // 2]
    np.testing.assert_array_equal(np.concatenate(blocks), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_to_the_same_sound(wav, rate):
    heard = read_audio(wav("a.wav", rate=rate), RATE)
    assert len(heard) == pytest.approx(RATE, abs=2)
    spectrum = np.abs(np.fft.rfft(heard[:RATE]))
    assert {180, 620, 1400, 2600} <= set(np.argsort(spectrum)[-12:])


def test_channels_are_averaged():
    left, right = babble(0.1), babble(0.1, seed=1)
    np.testing.assert_allclose(to_mono(np.stack([left, right], 1)), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize(("kind", "full"), [(np.int16, 2**15), (np.int32, 2**31)])
def test_integers_become_minus_one_to_one(kind, full):
    assert to_mono(np.array([-full, 0, full // 2], kind)).tolist() == [-1.0, 0.0, 0.5]


def test_other_integers_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        to_mono(np.zeros(3, np.uint8))


def test_what_is_not_finite_becomes_silence():
    assert to_mono(np.array([0.5, np.nan, np.inf, -np.inf], np.float32)).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_a_file_cut_short_gives_what_is_there_and_a_warning(wav, caplog):
    path = wav("a.wav")
    path.write_bytes(path.read_bytes()[: RATE + 44])  # half of it
    with caplog.at_level(logging.WARNING, "ds2edge"):
        assert len(read_audio(path, RATE)) == RATE // 2
    assert "cut short" in caplog.text
    assert str(path) in caplog.text


def test_a_flac_cut_short_gives_what_can_be_decoded(wav, caplog):
    path = wav("a.flac", seconds=4)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "ds2edge"):
        heard = read_audio(path, RATE)
    assert 0 < len(heard) < 4 * RATE
    assert "cut short" in caplog.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "not a readable sound file"),
        (b"words, not sound\n" * 9, "not a readable sound file"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path, content, says):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        AudioFile(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_wav_without_samples_holds_no_audio(wav):
    with pytest.raises(InputError, match="no audio"):
        AudioFile(wav("a.wav", seconds=0))
