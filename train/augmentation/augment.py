"""Augments clips and features with random changes.

The changes follow the path of sound: a voice, in a room, with noise, over a telephone line, into a
converter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from ds2edge.runtime.features import Frames, Samples
from ds2edge.train.augmentation.babble import draw_babble
from ds2edge.train.augmentation.noise import add_noise, draw_noise
from ds2edge.train.augmentation.rooms import draw_response, reverberate
from ds2edge.train.augmentation.telephone import CODECS, telephone
from ds2edge.train.recipe import Augmentation

MAX_TIME_MASKS = 20  # if their number grows with the clip (arXiv 1912.05533)


@dataclass(frozen=True)
class Timing:
    """What changes the length of a clip."""

    speed: float  # 1: unchanged
    leading_silence: float  # seconds
    trailing_silence: float  # seconds

    def duration(self, seconds: float) -> float:
        """Seconds that a clip of `seconds` has then."""
        return seconds / self.speed + self.leading_silence + self.trailing_silence


def draw_timing(settings: Augmentation, rng: np.random.Generator) -> Timing:
    """The first random numbers of `augment_samples`. They tell how long a clip will be."""
    speed, leading, trailing = 1.0, 0.0, 0.0
    if _happens(settings.speed_probability, rng):
        speed = rng.uniform(*settings.speed)
    if _happens(settings.silence_probability, rng):
        leading = rng.uniform(*settings.leading_silence)
        if settings.trailing_silence[1] > 0:
            trailing = rng.uniform(*settings.trailing_silence)
    return Timing(speed, leading, trailing)


def augment_samples(
    samples: Samples, rate: int, settings: Augmentation, rng: np.random.Generator
) -> Samples:
    """Changes a clip, float32 [n] at `rate` Hz, and returns float32 [m] in -1..1.

    InputError if a folder of noise, speech or rooms has no sound file that can be read.
    """
    timing = draw_timing(settings, rng)
    if timing.speed != 1:
        # LQ has 16-bit quality: its errors are below the features' floor of -80 dB.
        resampled = soxr.resample(samples, rate * timing.speed, rate, quality="LQ")
        samples = np.asarray(resampled, np.float32)
    silence = (timing.leading_silence, timing.trailing_silence)
    samples = np.pad(samples, tuple(int(seconds * rate) for seconds in silence))
    if len(samples) == 0:
        return samples
    if _happens(settings.room_probability, rng):
        response = draw_response(rate, settings.room_folder, settings.room_rt60, rng)
        samples = reverberate(samples, response)
    if rng.random() < settings.noise_probability:
        if settings.babble_folder and _happens(settings.babble_share, rng):
            noise = draw_babble(len(samples), rate, settings.babble_folder, rng)
        else:
            noise = draw_noise(len(samples), rate, settings.noise_folder, rng)
        samples = add_noise(samples, noise, rng.uniform(*settings.noise_snr_db))
    if _happens(settings.codec_probability, rng):
        samples = telephone(samples, rate, CODECS[rng.integers(len(CODECS))])
    if _happens(settings.gain_probability, rng):
        samples = samples * np.float32(10 ** (rng.uniform(*settings.gain_db) / 20))
    return np.clip(samples, -1.0, 1.0)


def _happens(probability: float, rng: np.random.Generator) -> bool:
    # A change that is certain, or switched off, draws no random number. So recipes get the same
    # clips as in earlier versions, which had fewer changes to draw.
    return probability > 0 and (probability >= 1 or rng.random() < probability)


def mask_frames(frames: Frames, settings: Augmentation, rng: np.random.Generator) -> Frames:
    """SpecAugment: sets bands of bins and stretches of time to 0, the mean of normalised features.

    `frames` is float32 [frames, bins]. See Park et al. 2019 (arXiv 1904.08779, section 2); time
    warping, which they found to help least, is left out. With `time_masks_per_frame`, number and
    size of the time masks depend on the length (arXiv 1912.05533).
    """
    if not _happens(settings.mask_probability, rng):
        return frames
    frames = frames.copy()
    length, bins = frames.shape
    for _ in range(settings.frequency_masks):
        width = rng.integers(min(settings.frequency_mask_bins, bins) + 1)
        first = rng.integers(bins - width + 1)
        frames[:, first : first + width] = 0
    for _ in range(_time_masks(length, settings)):
        width = rng.integers(int(length * settings.time_mask_share) + 1)
        first = rng.integers(length - width + 1)
        frames[first : first + width] = 0
    return frames


def _time_masks(length: int, settings: Augmentation) -> int:
    if settings.time_masks_per_frame == 0:
        return settings.time_masks
    return min(int(length * settings.time_masks_per_frame), MAX_TIME_MASKS)
