"""Augmentation: each change does what it should, and the same seed gives the same clip."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support import RATE, SPOKEN, babble, film

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.augmentation import augment
from ds2edge.train.augmentation.augment import augment_samples, draw_timing, mask_frames
from ds2edge.train.augmentation.babble import SECONDS, draw_babble, mixed_talkers
from ds2edge.train.augmentation.noise import add_noise, at_ratios, coloured_noise, draw_noise
from ds2edge.train.augmentation.rooms import draw_response, reverberate, simulated_response
from ds2edge.train.augmentation.sound_files import PIECE, measure, read_piece, sound_files
from ds2edge.train.augmentation.telephone import CODECS, telephone
from ds2edge.train.recipe import Augmentation, read_recipe

OFF = Augmentation(
    speed_probability=0,
    leading_silence=(0, 0),
    noise_probability=0,
    gain_probability=0,
    mask_probability=0,
)
ALONE = {
    "speed": {"speed_probability": 1},
    "silence": {"leading_silence": (0, 0.5)},
    "silence after": {"trailing_silence": (0, 0.5)},
    "room": {"room_probability": 1},
    "noise": {"noise_probability": 1},
    "codec": {"codec_probability": 1},
    "gain": {"gain_probability": 1},
}
EVERYTHING = Augmentation(room_probability=1, noise_probability=1, codec_probability=1)


def seeded(seed=0):
    return np.random.default_rng(seed)


def decibels(signal, reference):
    """Power of a signal relative to a reference, in dB."""
    return 10 * np.log10(
        np.mean(np.square(signal, dtype=np.float64))
        / np.mean(np.square(reference, dtype=np.float64))
    )


@pytest.fixture(scope="module")
def spoken():
    return read_audio(next(iter(SPOKEN.values())), RATE)


@pytest.fixture
def folder(tmp_path):
    """Inconvenient noise: other rates, stereo, shorter than a clip, longer than a piece, nested."""
    noise = 0.1 * seeded(1).standard_normal((30 * RATE, 2))
    soundfile.write(tmp_path / "long.flac", noise[:, 0], RATE)
    soundfile.write(tmp_path / "stereo.wav", noise[:RATE], 44100)
    soundfile.write(tmp_path / "eight.ogg", noise[:8000, 0], 8000)
    (tmp_path / "below").mkdir()
    soundfile.write(tmp_path / "below" / "short.WAV", noise[:20, 0], RATE, format="WAV")
    (tmp_path / "README.txt").write_text("where these are from")
    return tmp_path


# The augmentation of an early version, without rooms and telephones. Recipes that use neither
# must still give the same clips: figures in docs/results.md were measured with it.


def augment_before(samples, rate, settings, rng):
    speed = rng.uniform(*settings.speed)
    samples = np.asarray(soxr.resample(samples, rate * speed, rate, quality="LQ"), np.float32)
    samples = np.pad(samples, (int(rng.uniform(*settings.leading_silence) * rate), 0))
    if rng.random() < settings.noise_probability:
        size = len(samples)
        shape = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20.0) ** (-rng.uniform(0, 2) / 2)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size).astype(
            np.float32
        )
        power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-12)
        snr = rng.uniform(*settings.noise_snr_db)
        samples = samples + noise * np.float32(np.sqrt(power * 10 ** (-snr / 10)))
    gain = 10 ** (rng.uniform(*settings.gain_db) / 20)
    return np.clip(samples * np.float32(gain), -1.0, 1.0)


def mask_before(frames, settings, rng):
    frames = frames.copy()
    length, bins = frames.shape
    for _ in range(settings.frequency_masks):
        width = rng.integers(min(settings.frequency_mask_bins, bins) + 1)
        first = rng.integers(bins - width + 1)
        frames[:, first : first + width] = 0
    for _ in range(settings.time_masks):
        width = rng.integers(int(length * settings.time_mask_share) + 1)
        first = rng.integers(length - width + 1)
        frames[first : first + width] = 0
    return frames


@pytest.mark.parametrize("name", ["mini", "digits"])
def test_a_recipe_without_rooms_and_telephones_gives_the_same_clips_as_before(name):
    settings = read_recipe(name).augmentation
    frames = seeded().standard_normal((150, 64)).astype(np.float32)
    for seed in range(20):
        now = seeded(seed)
        then = seeded(seed)
        clip = babble(0.5 + 0.1 * seed, seed=seed)
        np.testing.assert_array_equal(
            augment_samples(clip, RATE, settings, now), augment_before(clip, RATE, settings, then)
        )
        np.testing.assert_array_equal(
            mask_frames(frames, settings, now), mask_before(frames, settings, then)
        )
        assert now.bit_generator.state == then.bit_generator.state


@examples(deadline=None)  # the first example imports modules or reads a file
@given(st.integers(0, 3000), st.integers(0, 2**32 - 1))
def test_switched_off_it_changes_nothing(size, seed):
    clip = seeded(seed).uniform(-1, 1, size).astype(np.float32)
    np.testing.assert_array_equal(augment_samples(clip, RATE, OFF, seeded(seed)), clip)
    frames = seeded(seed).standard_normal((size // 100, 20)).astype(np.float32)
    rng = seeded(seed)
    np.testing.assert_array_equal(mask_frames(frames, OFF, rng), frames)
    assert rng.bit_generator.state == seeded(seed).bit_generator.state


@pytest.mark.parametrize("name", ALONE)
def test_the_same_seed_makes_the_same_clip_and_another_seed_another(name, spoken):
    settings = dataclasses.replace(OFF, **ALONE[name])
    first, again, other = (
        augment_samples(spoken, RATE, settings, seeded(seed)) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, spoken)
    assert first.dtype == np.float32


def test_the_same_seed_makes_the_same_clip_from_folders(folder, spoken):
    settings = dataclasses.replace(EVERYTHING, noise_folder=str(folder), room_folder=str(folder))
    clips = [augment_samples(spoken, RATE, settings, seeded(seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])


@pytest.mark.parametrize("name", [name for name in ALONE if "silence" not in name])
def test_each_change_happens_with_its_probability(name):
    settings = dataclasses.replace(OFF, **{f"{name}_probability": 0.3})
    clip = babble(0.05)
    rng = seeded()
    changed = sum(
        not np.array_equal(augment_samples(clip, RATE, settings, rng), clip) for _ in range(300)
    )
    assert 60 <= changed <= 120


def test_masks_happen_with_their_probability():
    frames = np.ones((100, 80), np.float32)
    rng = seeded()
    settings = Augmentation(mask_probability=0.3, frequency_masks=9, time_masks=9)
    assert 60 <= sum(not mask_frames(frames, settings, rng).all() for _ in range(300)) <= 120


@examples(deadline=None)  # the first example imports modules or reads a file
@given(st.floats(-5, 40), st.floats(0.001, 0.5), st.integers(0, 999))
def test_noise_comes_at_the_drawn_level(snr, level, seed):
    settings = dataclasses.replace(OFF, noise_probability=1, noise_snr_db=(snr, snr))
    clean = np.float32(level) * babble(0.5)
    noisy = augment_samples(clean, RATE, settings, seeded(seed))
    if np.abs(noisy).max() < 1:
        assert decibels(clean, noisy - clean) == pytest.approx(snr, abs=0.1)


def test_the_level_of_noise_is_relative_to_the_reverberant_speech(spoken):
    room = dataclasses.replace(OFF, room_probability=1)
    both = dataclasses.replace(room, noise_probability=1, noise_snr_db=(10, 10))
    for seed in range(5):
        noisy, reverberant = (
            augment_samples(spoken, RATE, settings, seeded(seed)) for settings in (both, room)
        )
        assert decibels(reverberant, noisy - reverberant) == pytest.approx(10, abs=0.5)


def test_noise_of_any_rate_length_and_channels_comes_at_the_drawn_level(folder, spoken):
    settings = dataclasses.replace(
        OFF, noise_probability=1, noise_snr_db=(15, 15), noise_folder=str(folder)
    )
    for seed in range(20):
        noisy = augment_samples(spoken, RATE, settings, seeded(seed))
        assert decibels(spoken, noisy - spoken) == pytest.approx(15, abs=0.5)


def test_trailing_silence_follows_the_clip(spoken):
    settings = dataclasses.replace(OFF, trailing_silence=(0.2, 0.4))
    heard = augment_samples(spoken, RATE, settings, seeded())
    np.testing.assert_array_equal(heard[: len(spoken)], spoken)
    assert not heard[len(spoken) :].any()
    assert 0.2 * RATE <= len(heard) - len(spoken) <= 0.4 * RATE


def test_some_clips_have_no_silence_around_them(spoken):
    settings = dataclasses.replace(
        OFF, silence_probability=0.5, leading_silence=(0.1, 0.2), trailing_silence=(0.1, 0.2)
    )
    heard = [augment_samples(spoken, RATE, settings, seeded(seed)) for seed in range(60)]
    bare = sum(np.array_equal(clip, spoken) for clip in heard)
    assert 20 < bare < 40
    assert all(len(clip) > len(spoken) + 0.2 * RATE for clip in heard if len(clip) > len(spoken))


@pytest.fixture
def talkers(tmp_path):
    """Speech, and a file that holds none."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(5000), RATE)
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", 0.3 * babble(1.5, seed=number), RATE)
    return str(tmp_path)


def test_babble_is_many_talkers_without_end(talkers):
    mix = mixed_talkers(3, talkers, RATE)
    assert mix.shape == (SECONDS * RATE,)
    assert mix.dtype == np.float32
    np.testing.assert_array_equal(mixed_talkers.__wrapped__(3, talkers, RATE), mix)
    assert not np.array_equal(mixed_talkers(4, talkers, RATE), mix)
    halves = mix.reshape(2 * SECONDS, -1)
    assert (halves**2).mean(1).min() > 0.05 * (mix**2).mean()
    longer = draw_babble(25 * RATE, RATE, talkers, seeded(1))
    np.testing.assert_array_equal(longer[: 5 * RATE], longer[SECONDS * RATE :][: 5 * RATE])
    assert not np.array_equal(longer, draw_babble(25 * RATE, RATE, talkers, seeded(2)))


def test_babble_takes_its_share_of_the_noise(talkers, spoken, folder, monkeypatch):
    settings = dataclasses.replace(
        OFF, noise_probability=1, noise_snr_db=(10, 10), babble_folder=talkers, babble_share=1
    )
    noisy = augment_samples(spoken, RATE, settings, seeded())
    assert decibels(spoken, noisy - spoken) == pytest.approx(10, abs=0.5)
    never = dataclasses.replace(settings, babble_share=0, noise_folder=str(folder))
    without = dataclasses.replace(never, babble_folder=None)
    np.testing.assert_array_equal(
        *(augment_samples(spoken, RATE, each, seeded()) for each in (never, without))
    )
    drawn = []
    monkeypatch.setattr(augment, "draw_babble", lambda size, *_: drawn.append(1) or np.ones(size))
    sometimes = dataclasses.replace(settings, babble_share=0.3)
    rng = seeded()
    for _ in range(300):
        augment_samples(spoken, RATE, sometimes, rng)
    assert 60 <= len(drawn) <= 120


def test_babble_at_a_ratio_depends_on_the_name(talkers, spoken):
    first, again, other, noise = (
        next(at_ratios(spoken, RATE, None, name, [6], speech))
        for name, speech in (("a", talkers), ("a", talkers), ("b", talkers), ("a", None))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, noise)


def test_silent_noise_and_silent_speech_stay_silent(tmp_path, spoken):
    soundfile.write(tmp_path / "silence.wav", np.zeros(5000), RATE)
    settings = dataclasses.replace(
        EVERYTHING, noise_folder=str(tmp_path), codec_probability=0, room_probability=0
    )
    settings = dataclasses.replace(
        settings, speed_probability=0, leading_silence=(0, 0), gain_probability=0
    )
    np.testing.assert_array_equal(augment_samples(spoken, RATE, settings, seeded()), spoken)
    silence = np.zeros(8000, np.float32)
    assert (
        np.abs(augment_samples(silence, RATE, EVERYTHING, seeded())).max() < 1e-3
    )  # A-law has no zero


def test_coloured_noise_falls_with_frequency_from_white_to_brown():
    slopes = []
    for seed in range(40):
        power = np.abs(np.fft.rfft(coloured_noise(RATE, RATE, seeded(seed)))) ** 2
        # Over a decade the power falls by 10 k dB.
        slopes.append(10 * np.log10(power[4000:4400].mean() / power[400:440].mean()))
    assert -24 < min(slopes) < -16
    assert -4 < max(slopes) < 4


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A folder with one file of two and a half pieces at 100 Hz, with samples 0, 1, 2, ..."""
    folder = tmp_path_factory.mktemp("counting")
    soundfile.write(
        folder / "n.wav", np.arange(250 * PIECE, dtype=np.float32), 100, subtype="FLOAT"
    )
    return str(folder)


@examples(deadline=None)  # the first example imports modules or reads a file
@given(size=st.integers(1, 600 * PIECE), seed=st.integers(0, 10**6))
def test_a_noise_file_that_is_too_short_is_repeated(counting, size, seed):
    noise = draw_noise(size, 100, counting, seeded(seed))
    np.testing.assert_array_equal(noise, (noise[0] + np.arange(size)) % (250 * PIECE))


def test_sound_files_are_found_in_subfolders_and_with_upper_case_names(folder):
    assert [path.name for path in sound_files(str(folder))] == [
        "short.WAV",
        "eight.ogg",
        "long.flac",
        "stereo.wav",
    ]


def test_long_noise_is_read_in_pieces(folder):
    assert read_piece(folder / "long.flac", 0, RATE).nbytes == PIECE * RATE * 4
    assert read_piece(folder / "long.flac", 0, RATE) is read_piece(folder / "long.flac", 0, RATE)
    assert read_piece.cache_info().maxsize * PIECE * RATE * 4 <= 256e6


@pytest.mark.parametrize("which", ["noise", "room"])
def test_a_folder_without_sounds_is_named(which, tmp_path):
    (tmp_path / "README.txt").write_text("no sound")
    for folder, says in ((tmp_path, "holds no sound file"), (tmp_path / "none", "no such folder")):
        settings = dataclasses.replace(EVERYTHING, **{f"{which}_folder": str(folder)})
        with pytest.raises(InputError, match=f"{folder}: {says}"):
            augment_samples(babble(0.5), RATE, settings, seeded())


def test_a_folder_of_sound_files_that_cannot_be_read_is_named(tmp_path, caplog):
    (tmp_path / "broken.wav").write_text("no sound")
    for draw in (
        lambda: draw_noise(9, RATE, str(tmp_path), seeded()),
        lambda: draw_response(RATE, str(tmp_path), (0.2, 0.5), seeded()),
    ):
        with pytest.raises(InputError, match="holds no sound file that can be read"):
            draw()
    assert caplog.text.count("broken.wav: not a readable sound file") == 1


def test_a_sound_file_that_cannot_be_read_is_passed_over(tmp_path, caplog):
    (tmp_path / "broken.wav").write_text("no sound")
    soundfile.write(tmp_path / "good.wav", np.full(100, 0.5), RATE)
    for seed in range(8):
        np.testing.assert_allclose(draw_noise(9, RATE, str(tmp_path), seeded(seed)), 0.5, atol=1e-3)
    assert caplog.text.count("left out of the augmentation") == 1


def streamed_flac(path, samples):
    """A FLAC file without a length in its header, as `flac -` writes it into a pipe."""
    soundfile.write(path, samples, RATE)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the last 36 bits before the MD5 sum count the samples
    data[22:26] = bytes(4)
    path.write_bytes(data)


def truncated_mp3(path, samples):
    """An MP3 whose header promises more than there is."""
    soundfile.write(path, samples, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])


def m4a(path, samples):
    film(path, "aac", samples, RATE)


@pytest.mark.parametrize(
    ("name", "write"), [("a.flac", streamed_flac), ("a.mp3", truncated_mp3), ("a.m4a", m4a)]
)
def test_noise_of_a_file_with_a_wrong_length_or_of_a_phone_is_never_silent(tmp_path, name, write):
    write(tmp_path / name, 0.1 * seeded().standard_normal(3 * RATE))
    for seed in range(20):
        noise = draw_noise(RATE // 2, RATE, str(tmp_path), seeded(seed))
        assert np.abs(noise[: RATE // 10]).max() > 0.05


def test_of_a_very_long_noise_file_the_first_ten_minutes_are_used(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 900, np.int16), 8000)
    assert measure(tmp_path / "long.wav").samples == 600 * 8000


def test_a_room_keeps_length_level_and_position_of_the_speech(spoken):
    click = np.zeros(RATE, np.float32)
    click[3200] = 0.5
    for number in range(30):
        response = simulated_response(number, (0.2, 0.5), RATE)
        heard = reverberate(spoken, response)
        assert heard.shape == spoken.shape
        assert decibels(heard, spoken) == pytest.approx(0, abs=0.01)
        clicks = np.abs(reverberate(click, response))
        assert np.argmax(clicks >= clicks.max() / 2) == 3200


def test_a_simulated_room_has_the_given_reverberation_time():
    click = np.zeros(RATE, np.float32)
    click[3200] = 0.5
    for seconds in (0.2, 0.5):
        decays = []
        for number in range(12):
            heard = reverberate(click, simulated_response(number, (seconds, seconds), RATE))
            assert np.sum(heard[:3000] ** 2) < 0.01 * np.sum(heard**2)
            left = np.cumsum(heard[3200:][::-1].astype(np.float64) ** 2)[
                ::-1
            ]  # Schroeder's backward integral
            level = 10 * np.log10(left / left[0])
            decays.append(
                3 * (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
            )  # T20 of ISO 3382
        assert np.mean(decays) == pytest.approx(seconds, rel=0.2)


def test_a_room_of_the_same_number_is_the_same():
    first = simulated_response(3, (0.2, 0.5), RATE)
    simulated_response.cache_clear()
    np.testing.assert_array_equal(simulated_response(3, (0.2, 0.5), RATE), first)
    assert not np.array_equal(simulated_response(4, (0.2, 0.5), RATE)[:2000], first[:2000])


def test_a_response_of_direct_sound_only_changes_nothing(spoken):
    response = np.zeros(500, np.float32)
    response[123] = 0.2
    np.testing.assert_allclose(reverberate(spoken, response), spoken, atol=1e-6)
    response[200] = (
        0.3  # a reflection that is louder, as in a corner: the direct sound is still the first
    )
    assert (
        np.argmax(np.abs(np.correlate(reverberate(spoken, response), spoken, "full")))
        == len(spoken) - 1 + 77
    )
    echo = reverberate(np.eye(1, 900, 100, dtype=np.float32)[0], response)
    assert np.flatnonzero(np.abs(echo) > 0.1).tolist() == [100, 177]
    np.testing.assert_array_equal(reverberate(spoken, np.zeros(9, np.float32)), spoken)


def test_responses_come_from_the_folder(tmp_path):
    stereo = np.zeros((600, 2), np.float32)
    stereo[10] = 0.5, -0.5  # the mean of both channels would be silence
    soundfile.write(tmp_path / "hall.wav", stereo, RATE, subtype="FLOAT")
    response = draw_response(RATE, str(tmp_path), (0.2, 0.5), seeded())
    np.testing.assert_array_equal(response, stereo[:, 0])


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_passes_its_band_and_nothing_else(codec):
    white = (0.1 * seeded().standard_normal(4 * RATE)).astype(np.float32)
    heard = telephone(white, RATE, codec)
    assert heard.shape == white.shape
    power = np.abs(np.fft.rfft(heard)) ** 2 / np.mean(np.abs(np.fft.rfft(white)) ** 2)

    def gain(low, high):
        return 10 * np.log10(power[4 * low : 4 * high].mean())

    assert gain(4200, 8000) < -50
    assert gain(0, 100) < -12  # the noise of GSM; the others have -37
    assert gain(500, 3000) == pytest.approx(0, abs=3)
    assert (gain(0, 100) < -30) == (codec != "GSM610")


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_does_not_delay_speech(codec, spoken):
    heard = telephone(spoken, RATE, codec)
    lag = np.argmax(np.correlate(heard, spoken, "full")) - (len(spoken) - 1)
    assert abs(lag) <= 2 * RATE // 1000  # of the filter itself: a fifth of a frame
    assert np.isfinite(telephone(10 * spoken, RATE, codec)).all()


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
def test_g711_has_the_noise_of_8_bits(law):
    tone = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
    heard = telephone(tone, RATE, law)[RATE // 2 :].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    tone_power = spectrum[490:511].sum()
    assert (
        30 < 10 * np.log10(tone_power / (spectrum.sum() - tone_power)) < 45
    )  # G.711 has about 38 dB


def test_speed_changes_length_and_pitch():
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    settings = dataclasses.replace(OFF, speed_probability=1, speed=(1.1, 1.1))
    heard = augment_samples(tone, RATE, settings, seeded())
    assert len(heard) == pytest.approx(2 * RATE / 1.1, abs=3)
    assert np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard) == pytest.approx(1100, abs=1)


def test_gain_is_in_decibels_and_clips_as_a_converter_does():
    quieter = dataclasses.replace(OFF, gain_probability=1, gain_db=(-6.0206, -6.0206))
    np.testing.assert_allclose(
        augment_samples(babble(1.0), RATE, quieter, seeded()), babble(1.0) / 2, rtol=1e-4
    )
    louder = dataclasses.replace(OFF, gain_probability=1, gain_db=(40, 40))
    assert np.abs(augment_samples(babble(1.0), RATE, louder, seeded())).max() == 1.0


def test_masks_are_zero_and_within_their_bounds():
    frames = np.ones((200, 80), np.float32)
    settings = Augmentation(
        frequency_masks=1, frequency_mask_bins=20, time_masks=1, time_mask_share=0.1
    )
    seen = []
    for seed in range(50):
        masked = mask_frames(frames, settings, seeded(seed))
        seen.append((int((masked.sum(0) == 0).sum()), int((masked.sum(1) == 0).sum())))
    assert max(bins for bins, _ in seen) in range(15, 21)
    assert max(rows for _, rows in seen) in range(15, 21)
    assert frames.all()


class WidestSideBySide:
    """Draws the widest masks allowed, side by side: the masked width then counts them."""

    def __init__(self):
        self.widths = []

    def integers(self, high):
        if len(self.widths) % 2 == 0:
            self.widths.append(high - 1)
            return high - 1
        self.widths.append(None)
        return (len(self.widths) // 2 - 1) * self.widths[-2]


@pytest.mark.parametrize(
    ("length", "masks", "width"),
    [(0, 0, 0), (24, 0, 0), (100, 4, 4), (300, 12, 12), (499, 19, 19), (2000, 20, 80)],
)
def test_adaptive_time_masks_grow_with_the_clip_in_number_and_size(length, masks, width):
    settings = Augmentation(frequency_masks=0, time_masks_per_frame=0.04, time_mask_share=0.04)
    rng = WidestSideBySide()
    masked = mask_frames(np.ones((length, 9), np.float32), settings, rng)
    assert rng.widths[::2] == [width] * masks
    assert int((masked.sum(1) == 0).sum()) == masks * width


@examples(deadline=None)  # the first example imports modules or reads a file
@given(st.integers(0, 700), st.integers(0, 999))
def test_no_clip_is_too_short(size, seed):
    heard = augment_samples(babble(size / RATE), RATE, EVERYTHING, seeded(seed))
    assert np.isfinite(heard).all()
    assert heard.dtype == np.float32


def test_a_minute_is_not_too_long(folder):
    settings = dataclasses.replace(
        EVERYTHING, noise_folder=str(folder), speed_probability=0, leading_silence=(0, 0)
    )
    for seed in range(4):
        heard = augment_samples(babble(60.0), RATE, settings, seeded(seed))
        assert heard.shape == (60 * RATE,)
        assert np.isfinite(heard).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"room_probability": 1.5}, r"room_probability \(1.5\) must be between 0 and 1"),
        ({"time_masks_per_frame": -0.1}, "time_masks_per_frame"),
        ({"gain_db": (6.0, -10.0)}, "from the lower to the higher"),
        ({"speed": (0.0, 1.0)}, "speed must be above 0"),
        ({"room_rt60": (0.05, 0.5)}, r"room_rt60 .* within 0\.15 to 1 s"),
    ],
)
def test_a_setting_out_of_its_range_is_named(change, says):
    with pytest.raises(ValueError, match=says):
        Augmentation(**change)


def test_libraries_that_a_recipe_does_not_use_are_not_imported():
    code = """
import sys
import numpy as np
from ds2edge.train.augmentation.augment import augment_samples
from ds2edge.train.recipe import Augmentation
before = set(sys.modules)
augment_samples(np.ones(16000, np.float32), 16000, Augmentation(), np.random.default_rng(0))
assert not {"scipy", "pyroomacoustics"} & (set(sys.modules) - before)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(
    "DS2EDGE_NOISE" not in os.environ,
    reason="DS2EDGE_NOISE names no folder with background/ and rooms/",
)
def test_recorded_noise_and_rooms_keep_the_same_levels(spoken):
    folder = Path(os.environ["DS2EDGE_NOISE"])
    for seed in range(40):
        response = draw_response(RATE, str(folder / "rooms"), (0.2, 0.5), seeded(seed))
        heard = reverberate(spoken, response)
        assert decibels(heard, spoken) == pytest.approx(0, abs=0.01)
        noise = draw_noise(len(heard), RATE, str(folder / "background"), seeded(seed))
        assert noise.shape == heard.shape
        if noise.any():
            assert decibels(heard, add_noise(heard, noise, 12) - heard) == pytest.approx(
                12, abs=0.5
            )


@given(seed=st.integers(0, 10**6), probability=st.sampled_from([0.0, 0.5, 1.0]))
@examples(deadline=None)
def test_the_length_of_a_clip_is_known_before_it_is_augmented(seed, probability):
    settings = Augmentation(
        speed=(0.8, 1.2),
        speed_probability=probability,
        silence_probability=probability,
        leading_silence=(0.1, 0.5),
        trailing_silence=(0.0, 0.7),
        noise_probability=0.0,
    )
    timing = draw_timing(settings, np.random.default_rng(seed))
    samples = augment_samples(babble(1.3), RATE, settings, np.random.default_rng(seed))
    assert len(samples) / RATE == pytest.approx(timing.duration(1.3), abs=0.001)
