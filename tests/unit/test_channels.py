"""Channels become one, in files and live."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.audio.channels import StreamMixer
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.errors import InputError

VOICE = babble(4.0)
NOISE = 0.001 * np.random.default_rng(5).standard_normal(len(VOICE)).astype(np.float32)
FORMS = {
    "the same twice": [VOICE, VOICE],
    "inverted": [VOICE, -VOICE],
    "inverted, and softer": [0.5 * VOICE, -VOICE],
    "one of two": [VOICE, 0 * VOICE],
    "one of six": [0 * VOICE, 0 * VOICE, 0 * VOICE, VOICE, 0 * VOICE, 0 * VOICE],
    "a constant beside it": [VOICE, 0 * VOICE + 0.5],
    "noise beside it": [NOISE, VOICE],
}


def read(path, **options) -> tuple[np.ndarray, AudioFile]:
    audio = AudioFile(path, **options)
    return np.concatenate(list(audio.blocks())), audio


def apart(heard: np.ndarray, wanted: np.ndarray) -> float:
    """How far two sounds are apart, whichever way they swing, in dB below the second."""
    sign = np.sign(heard @ wanted)
    return float(10 * np.log10(np.mean((sign * heard - wanted) ** 2) / np.mean(wanted**2) + 1e-12))


@pytest.mark.parametrize("form", FORMS)
def test_the_text_of_every_form_is_that_of_the_mono_file(tmp_path, form):
    soundfile.write(tmp_path / "a.wav", np.stack(FORMS[form], 1), RATE, subtype="FLOAT")
    heard, audio = read(tmp_path / "a.wav")
    assert apart(heard, VOICE) < -30
    assert audio.cancelled == ("inverted" in form)


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_adapts_within_a_second(form):
    heard = StreamMixer(RATE).accept(np.stack(FORMS[form], 1))
    assert apart(heard[RATE:], VOICE[RATE : len(heard)]) < -20
    assert np.abs(np.diff(heard)).max() < 1.2 * np.abs(np.diff(VOICE)).max()  # no click


def test_two_speakers_on_a_channel_each_are_both_heard(tmp_path):
    left, right = VOICE.copy(), 0.5 * babble(4.0, seed=2)
    left[2 * RATE :] = 0
    right[: 2 * RATE] = 0
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    heard, _ = read(tmp_path / "a.wav")
    for part in (slice(0, 2 * RATE), slice(2 * RATE, None)):
        assert apart(1.12 * heard[part], (left + right)[part]) < -15


def test_how_a_stream_is_cut_changes_nothing():
    samples = np.stack([VOICE, -0.7 * VOICE + NOISE], 1)
    whole, pieces = Resampler(RATE), Resampler(RATE)
    at_once = np.concatenate([whole.accept(samples, 48000), whole.finish()])
    cuts = [0, 1, 7, 500, 40000, len(samples)]
    heard = [pieces.accept(samples[a:b], 48000) for a, b in pairwise(cuts)]
    np.testing.assert_allclose(np.concatenate([*heard, pieces.finish()]), at_once, atol=1e-6)


def test_a_channel_alone(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([VOICE, NOISE], 1), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "a.wav", channel=2)[0], NOISE)
    with pytest.raises(InputError, match="has 2 channels, so no channel 3"):
        AudioFile(tmp_path / "a.wav", channel=3)
