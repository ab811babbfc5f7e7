"""What training does to a clip so that the model hears more than was recorded; drawn from the given generator."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Frames, Samples
from ds2edge.train.recipe import Augmentation

SOUNDS = frozenset(f".{name.lower()}" for name in soundfile.available_formats()) | {".opus"}


def augment_samples(samples: Samples, rate: int, settings: Augmentation, random: np.random.Generator) -> Samples:
    """Speed, silence before it, noise, gain (clipped as a converter would). float32 [n] -> float32 [m]."""
    speed = random.uniform(*settings.speed)
    samples = np.asarray(soxr.resample(samples, rate * speed, rate, quality="LQ"), np.float32)
    samples = np.pad(samples, (int(random.uniform(*settings.leading_silence) * rate), 0))
    if random.random() < settings.noise_probability:
        noise = draw_noise(len(samples), rate, settings, random)
        power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-12)
        snr = random.uniform(*settings.noise_snr_db)
        samples = samples + noise * np.float32(np.sqrt(power * 10 ** (-snr / 10)))
    gain = 10 ** (random.uniform(*settings.gain_db) / 20)
    return np.clip(samples * np.float32(gain), -1.0, 1.0)


def draw_noise(size: int, rate: int, settings: Augmentation, random: np.random.Generator) -> Samples:
    """A piece of a file of the noise folder or, without one, noise whose power falls as 1 / f^k, k from 0 to 2."""
    if settings.noise_folder is None:
        shape = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20.0) ** (-random.uniform(0, 2) / 2)
        return np.fft.irfft(np.fft.rfft(random.standard_normal(size)) * shape, size).astype(np.float32)
    files = _noise_files(settings.noise_folder)
    noise = _read_noise(files[random.integers(len(files))], rate)
    start = random.integers(len(noise))
    return np.take(noise, np.arange(start, start + size), mode="wrap")


@lru_cache(maxsize=1)
def _noise_files(folder: str) -> list[Path]:
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SOUNDS)
    if not files:
        raise InputError(f"{folder}: noise_folder holds no sound file")
    return files


@lru_cache(maxsize=512)
def _read_noise(path: Path, rate: int) -> Samples:
    return read_audio(path, rate)


def mask_frames(frames: Frames, settings: Augmentation, random: np.random.Generator) -> Frames:
    """SpecAugment: bands of bins and stretches of time set to 0, the mean of normalised features. [frames, bins]."""
    frames = frames.copy()
    length, bins = frames.shape
    for _ in range(settings.frequency_masks):
        width = random.integers(min(settings.frequency_mask_bins, bins) + 1)
        first = random.integers(bins - width + 1)
        frames[:, first : first + width] = 0
    for _ in range(settings.time_masks):
        width = random.integers(int(length * settings.time_mask_share) + 1)
        first = random.integers(length - width + 1)
        frames[first : first + width] = 0
    return frames
