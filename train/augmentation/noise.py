"""Noise from a folder of recordings or synthesised, added at a given level."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.babble import draw_babble
from ds2edge.train.augmentation.sound_files import PIECE, draw_file, measure, read_piece


def draw_noise(size: int, rate: int, folder: str | None, rng: np.random.Generator) -> Samples:
    """Draws noise, float32 [size] at `rate` Hz: a part of a file of the folder, or coloured noise.

    A file that is too short is repeated. InputError if the folder has no sound file that can be
    read.
    """
    if folder is None:
        return coloured_noise(size, rate, rng)
    path = draw_file(folder, rng)
    length = measure(path)
    start = int(rng.integers(length.samples)) * rate // length.rate
    first, offset = divmod(start, PIECE * rate)
    pieces: list[Samples] = []
    while len(pieces) < length.pieces and sum(map(len, pieces)) < offset + size:
        pieces.append(read_piece(path, (first + len(pieces)) % length.pieces, rate))
    noise = np.concatenate(pieces)
    return noise[np.arange(offset, offset + size) % len(noise)]


def coloured_noise(size: int, rate: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise [size] whose power falls as 1 / f^k above 20 Hz.

    k is drawn from 0 (white noise) to 2 (brown noise).
    """
    shape = np.maximum(np.fft.rfftfreq(size, 1 / rate), 20.0) ** (-rng.uniform(0, 2) / 2)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size).astype(np.float32)


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Adds noise [n] to samples [n], `snr_db` below their power. Silent noise stays silent."""
    power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-12)
    return samples + noise * np.float32(np.sqrt(power * 10 ** (-snr_db / 10)))


def at_ratios(
    samples: Samples,
    rate: int,
    folder: str | None,
    name: str,
    snrs_db: Sequence[float],
    babble_folder: str | None = None,
) -> Iterator[Samples]:
    """Yields the samples with noise at each signal-to-noise ratio, clipped as by a converter.

    With a folder of speech, `babble_folder`, the noise is babble. `name`, of the sound file, alone
    decides the noise. So it is the same at all ratios and for all models. InputError as for
    `draw_noise`, which is not called without a ratio.
    """
    if not snrs_db:
        return
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if babble_folder:
        background = draw_babble(len(samples), rate, babble_folder, rng)
    else:
        background = draw_noise(len(samples), rate, folder, rng)
    for snr_db in snrs_db:
        yield np.clip(add_noise(samples, background, snr_db), -1, 1)
