"""Noise at a given level: from a folder of sounds, or synthesised."""

from __future__ import annotations

import numpy as np

from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.sound_files import PIECE, rate_and_length, read_piece, sound_files


def draw_noise(size: int, rate: int, folder: str | None, rng: np.random.Generator) -> Samples:
    """float32 [size] at `rate` Hz: a stretch of a file of the folder or, without one, of coloured noise.

    A file begins anew where it ends. InputError if the folder holds no sound file, or one that cannot be read.
    """
    if folder is None:
        return coloured_noise(size, rate, rng)
    files = sound_files(folder)
    path = files[rng.integers(len(files))]
    own, length = rate_and_length(path)
    first, offset = divmod(int(rng.integers(length)) * rate // own, PIECE * rate)
    count = -(-length // (PIECE * own))
    pieces: list[Samples] = []
    while len(pieces) < count and sum(map(len, pieces)) < offset + size:
        pieces.append(read_piece(path, (first + len(pieces)) % count, rate))
    noise = np.concatenate(pieces)
    return noise[np.arange(offset, offset + size) % len(noise)]


def coloured_noise(size: int, rate: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise [size] whose power falls as 1 / f^k above 20 Hz; k is drawn from 0 (white) to 2 (brown)."""
    shape = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20.0) ** (-rng.uniform(0, 2) / 2)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size).astype(np.float32)


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """The sum of both [n], the noise scaled to `snr_db` below the power of the samples; silent noise stays silent."""
    power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-12)
    return samples + noise * np.float32(np.sqrt(power * 10 ** (-snr_db / 10)))
