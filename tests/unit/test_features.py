"""The front end: frames do not depend on how sound is cut, and levels are exact."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import RATE, babble

from ds2edge.runtime.features import Features, FeatureSettings, Padding, mel_filters

LEVELLED = FeatureSettings(mel_bands=40, floor_db=-60.0, ceiling_db=40.0, level_rise=0.2)
SETTINGS = [
    FeatureSettings(),
    FeatureSettings(mel_bands=40),
    FeatureSettings(window=400, hop=170),
    LEVELLED,
]


@pytest.mark.parametrize("settings", SETTINGS)
@given(cuts=st.lists(st.integers(0, 6000), max_size=12), length=st.integers(0, 6000))
def test_any_chunking_gives_the_frames_of_the_whole(settings, cuts, length):
    samples = babble(0.4)[:length]
    mean, std = np.linspace(-60, -40, settings.bins), np.linspace(8, 20, settings.bins)
    features = Features(settings, mean, std)
    pieces = np.split(samples, sorted(min(cut, length) for cut in cuts))
    streamed = np.concatenate([features.accept(piece) for piece in pieces])
    np.testing.assert_array_equal(streamed, features(samples))
    assert len(streamed) == settings.frames(length)


def test_full_scale_sine_is_zero_decibels_at_its_bin():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    levels = Features(FeatureSettings(ceiling_db=20.0))(tone)
    assert levels.argmax(-1).tolist() == [1000 * 320 // RATE] * len(levels)
    np.testing.assert_allclose(levels.max(-1), 0.0, atol=0.01)


def test_silence_is_the_floor_and_normalised_like_the_rest():
    settings = FeatureSettings()
    features = Features(settings, np.full(161, -50.0), np.full(161, 10.0))
    np.testing.assert_allclose(features(np.zeros(RATE, np.float32)), -3.0)


def test_reset_forgets_the_stream():
    features = Features(FeatureSettings())
    features.accept(babble(0.1)[:1000])
    features.reset()
    np.testing.assert_array_equal(features.accept(babble(0.2)), features(babble(0.2)))


def test_every_mel_band_hears_something_and_peaks_at_one():
    filters = mel_filters(FeatureSettings(mel_bands=80))
    assert filters.shape == (80, 161)
    assert (filters.max(1) > 0.5).all()
    assert filters.max() == 1.0
    assert filters.min() == 0.0


@given(samples=st.integers(1, 5000), stride=st.integers(1, 6), lookahead=st.integers(0, 9))
def test_silence_after_a_clip_makes_whole_steps_of_all_of_it(samples, stride, lookahead):
    settings = FeatureSettings()
    silence = Padding(0, stride, lookahead).after(samples, settings)
    frames = settings.frames(samples + silence)
    assert silence >= 0
    assert frames % stride == 0
    # The last sample lies in a frame that is followed by `lookahead` whole steps.
    first_without_audio = -(-samples // settings.hop)
    assert min(frames, first_without_audio) >= 1
    assert frames - lookahead * stride >= settings.frames(samples)
    # With one step less, audio would be cut off.
    fewer = frames - (lookahead + 1) * stride
    assert fewer == 0 or (fewer - 1) * settings.hop + settings.window < samples


@given(samples=st.integers(1, 9000), warmup=st.integers(0, 9), chunk=st.integers(1, 9))
def test_a_padded_clip_has_whole_chunks_and_no_chunk_too_many(samples, warmup, chunk):
    settings = FeatureSettings()
    clip = babble(0.6)[:samples]
    chunked = len(Features(settings).padded(clip, Padding(warmup, 2, 3, chunk)))
    least = len(Features(settings).padded(clip, Padding(warmup, 2, 3)))
    assert chunked % (2 * chunk) == 0
    assert 0 <= chunked - least < 2 * chunk


def test_a_padded_clip_has_silence_before_and_after():
    settings, padding, samples = FeatureSettings(), Padding(3, 2, 4), babble(0.5)
    frames = Features(settings).padded(samples, padding)
    assert len(frames) % padding.time_stride == 0
    warmup = padding.warmup * padding.time_stride
    unpadded = Features(settings)(samples)
    assert (frames[: warmup - 1] == settings.floor_db).all()
    np.testing.assert_array_equal(frames[warmup : warmup + len(unpadded)], unpadded)
    assert (frames[-padding.delay * padding.time_stride :] == settings.floor_db).all()


@given(gain_db=st.floats(-40, 0), start=st.integers(0, 4000), length=st.integers(400, 8000))
def test_loudness_changes_no_frame_where_the_level_is_followed(gain_db, start, length):
    samples = babble(1.0)[start : start + length]
    assume(20 * np.log10(np.abs(samples).max() + 1e-9) > -40)
    expected = Features(LEVELLED)(samples)
    heard = Features(LEVELLED)(samples * np.float32(10 ** (gain_db / 20)))
    loud = expected > LEVELLED.floor_db + 45  # the rest may lie below -120 dB once it is softer
    np.testing.assert_allclose(heard[loud], expected[loud], atol=0.02)


def test_digital_silence_does_not_move_the_level():
    sound, silence = babble(0.5), np.zeros(3 * RATE, np.float32)
    features = Features(LEVELLED)
    features.accept(np.concatenate([silence, sound]))
    level = features._level
    assert (features.accept(silence)[10:] == LEVELLED.floor_db).all()
    features.accept(np.zeros(RATE, np.float32))
    # Not exactly: the last windows of sound reach into the silence.
    assert features._level == pytest.approx(level, abs=0.5)
    np.testing.assert_allclose(
        Features(LEVELLED)(np.concatenate([silence, sound]))[-40:],
        Features(LEVELLED)(sound)[-40:],
        atol=1.0,
    )


def test_the_level_rises_fast_and_falls_slowly():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    features = Features(LEVELLED)
    features.accept(0.01 * tone)  # -40 dB
    before = features._level
    features.accept(tone[: RATE // 5])
    assert features._level == pytest.approx(before + 40, abs=1)
    features.accept(0.01 * tone)
    assert before + 25 < features._level < before + 35  # after a second


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="level_rise"):
        FeatureSettings(level_rise=2.0)
    with pytest.raises(ValueError, match="hop"):
        FeatureSettings(hop=400)
    with pytest.raises(ValueError, match="statistics"):
        Features(FeatureSettings(), mean=[0.0])
