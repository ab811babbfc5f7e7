"""hibari-tts: its voices, each with eight lengths of the vocal tract.

hibari predicts a spectrum and a pitch curve before it makes samples of them. Both are moved there,
so that one voice of hibari becomes many speakers.
"""

from __future__ import annotations

import functools
import importlib.util
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from ds2edge.runtime.features import Samples
from ds2edge.train.synthesis.voice import RATE

Array = npt.NDArray[np.float32]

# Factors of all frequencies of the spectrum. Above 1 is a shorter vocal tract.
TRACTS = (0.80, 1.12)
BANDS = 8  # a voice for each eighth of that range


@dataclass(frozen=True)
class HibariVoice:
    """A voice of hibari with a vocal tract of about one length."""

    speaker: str  # as hibari calls it
    band: int  # 1 is the longest vocal tract
    licence: str = "Apache-2.0"

    @property
    def name(self) -> str:
        """Such as "hibari-heart-3"."""
        return f"hibari-{self.speaker}-{self.band}"

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text`. Long vocal tracts get low voices."""
        low, high = TRACTS
        tract = low + (high - low) * (self.band - rng.random()) / BANDS
        lowest = 0.48 + 1.6 * (tract - low)
        pitch = rng.uniform(lowest, min(1.3, lowest + 0.3))
        extent = rng.uniform(0.8, 1.2)
        speed = rng.uniform(0.9, 1.15)
        breath = np.float32(rng.choice([0.0, rng.uniform(0, 0.5)]))
        noise = np.random.default_rng(rng.getrandbits(32))
        from hibari import SAMPLE_RATE, dsp

        loaded = engine(self.speaker)
        pieces = []
        for phones in loaded.phonemize(text):
            inputs = {
                "ids": np.asarray([loaded.ids(phones)], np.int64),
                "speed": np.asarray([speed], np.float32),
            }
            *spectra, phase, f0 = (output[0] for output in loaded.sess.run(None, inputs))
            periodic, theta, aperiodic, rest = (move_formants(part, tract) for part in spectra)
            f0 = move_pitch(f0, pitch, extent)
            pieces.append(dsp.synth(periodic, theta, aperiodic + breath, rest, phase, f0, noise))
        if not pieces:
            raise ValueError("no phoneme")
        samples: Samples = soxr.resample(np.concatenate(pieces), SAMPLE_RATE, RATE)
        return samples


def voices() -> list[HibariVoice]:
    """The voice in the package, and those that hibari has downloaded."""
    if not importlib.util.find_spec("hibari"):
        return []
    from hibari.voices import VOICES, voice_path

    speakers = []
    for speaker in VOICES:
        try:
            voice_path(speaker, download_missing=False)
        except FileNotFoundError:
            continue
        speakers.append(speaker)
    return [HibariVoice(speaker, band) for speaker in speakers for band in range(1, BANDS + 1)]


@functools.cache
def engine(speaker: str) -> Any:
    """A voice of hibari, loaded once in a process."""
    from hibari import Hibari

    return Hibari(voice=speaker, threads=1)


def move_formants(spectrum: Array, factor: float) -> Array:
    """Stretches the first axis, which is frequency, by `factor`."""
    bins = len(spectrum)
    source = np.arange(bins) / factor
    below = np.minimum(source.astype(int), bins - 2)
    share = np.clip(source - below, 0, 1).astype(np.float32)[:, None]
    moved: Array = spectrum[below] * (1 - share) + spectrum[below + 1] * share
    return moved


def move_pitch(f0: Array, pitch: float, extent: float) -> Array:
    """Multiplies f0, in Hz, by `pitch`, and its range on a logarithmic scale by `extent`.

    Unvoiced frames become 0.
    """
    voiced = f0 > 40
    centre = np.mean(np.log(f0[voiced])) if voiced.any() else np.log(200.0)
    moved = np.exp(centre + extent * (np.log(np.maximum(f0, 41)) - centre)) * pitch
    return np.where(voiced, moved, 0).astype(np.float32)
