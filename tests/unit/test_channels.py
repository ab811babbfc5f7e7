"""Mixing channels to mono, in files and in streams."""

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
LAYOUTS = {
    "the same twice": [VOICE, VOICE],
    "inverted": [VOICE, -VOICE],
    "inverted and quieter": [0.5 * VOICE, -VOICE],
    "one of two": [VOICE, 0 * VOICE],
    "one of six": [0 * VOICE, 0 * VOICE, 0 * VOICE, VOICE, 0 * VOICE, 0 * VOICE],
    "beside a constant offset": [VOICE, 0 * VOICE + 0.5],
    "beside noise": [NOISE, VOICE],
}


def read(path, **options) -> tuple[np.ndarray, AudioFile]:
    audio = AudioFile(path, **options)
    return np.concatenate(list(audio.blocks())), audio


def difference(mixed: np.ndarray, wanted: np.ndarray) -> float:
    """Power of the difference of two sounds in dB of `wanted`, whatever the sign of `mixed`."""
    sign = np.sign(mixed @ wanted)
    return float(10 * np.log10(np.mean((sign * mixed - wanted) ** 2) / np.mean(wanted**2) + 1e-12))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_mixed_to_the_mono_voice(tmp_path, layout):
    soundfile.write(tmp_path / "a.wav", np.stack(LAYOUTS[layout], 1), RATE, subtype="FLOAT")
    mixed, audio = read(tmp_path / "a.wav")
    assert difference(mixed, VOICE) < -30
    assert audio.cancelled == ("inverted" in layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stream_adapts_within_a_second_without_clicks(layout):
    mixed = StreamMixer(RATE).accept(np.stack(LAYOUTS[layout], 1))
    assert difference(mixed[RATE:], VOICE[RATE : len(mixed)]) < -20
    assert np.abs(np.diff(mixed)).max() < 1.2 * np.abs(np.diff(VOICE)).max()


def test_two_speakers_on_separate_channels_are_both_kept(tmp_path):
    left = VOICE.copy()
    right = 0.5 * babble(4.0, seed=2)
    left[2 * RATE :] = 0
    right[: 2 * RATE] = 0
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    mixed, _ = read(tmp_path / "a.wav")
    for part in (slice(0, 2 * RATE), slice(2 * RATE, None)):
        assert difference(1.12 * mixed[part], (left + right)[part]) < -15


def test_how_a_stream_is_split_changes_nothing():
    samples = np.stack([VOICE, -0.7 * VOICE + NOISE], 1)
    whole = Resampler(RATE)
    pieces = Resampler(RATE)
    at_once = np.concatenate([whole.accept(samples, 48000), whole.finish()])
    cuts = [0, 1, 7, 500, 40000, len(samples)]
    mixed = [pieces.accept(samples[a:b], 48000) for a, b in pairwise(cuts)]
    np.testing.assert_allclose(np.concatenate([*mixed, pieces.finish()]), at_once, atol=1e-6)


def test_one_channel_is_read_and_a_missing_one_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([VOICE, NOISE], 1), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "a.wav", channel=2)[0], NOISE)
    with pytest.raises(InputError, match="has no channel 3: the highest is 2"):
        AudioFile(tmp_path / "a.wav", channel=3)
