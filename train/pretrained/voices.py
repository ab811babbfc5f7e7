"""Speech synthesis with hibari-tts and flite, each in any number of voices."""

from __future__ import annotations

import ctypes
import random
from ctypes.util import find_library
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.signal import resample_poly

RATE = 16000  # Hz
FLITE_VOICES = ("rms", "slt", "awb")
FLITE = ("flite", "flite_usenglish", "flite_cmulex", *(f"flite_cmu_us_{v}" for v in FLITE_VOICES))


def has_flite() -> bool:
    """Whether flite and all voices of `FLITE_VOICES` are installed."""
    return all(map(find_library, FLITE))


class Wave(ctypes.Structure):
    """The struct cst_wave of flite."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate", ctypes.c_int),
        ("samples", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("data", ctypes.POINTER(ctypes.c_short)),
    )


class Voice(ctypes.Structure):
    """The first fields of the struct cst_voice of flite."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


@lru_cache(maxsize=1)
def hibari() -> Any:
    """The hibari engine. A process starts it once."""
    from hibari import Hibari

    return Hibari(threads=1)


@lru_cache(maxsize=1)
def flite() -> tuple[Any, dict[str, Any]]:
    """The flite library and its voices by name. A process loads them once."""
    paths = [find_library(name) for name in FLITE]
    core, _, _, *voices = (ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL) for path in paths)
    core.flite_init()
    core.flite_text_to_wave.restype = ctypes.POINTER(Wave)
    core.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.POINTER(Voice))
    core.delete_wave.argtypes = (ctypes.POINTER(Wave),)
    core.flite_feat_set_float.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float)
    registered = {}
    for name, library in zip(FLITE_VOICES, voices, strict=True):
        register = getattr(library, f"register_cmu_us_{name}")
        register.restype = ctypes.POINTER(Voice)
        register.argtypes = (ctypes.c_char_p,)
        registered[name] = register(None)
    return core, registered


def move_formants(spectrum: Any, factor: float) -> Any:
    """Stretches the frequency axis, which is the first, by `factor`.

    A factor above 1 sounds like a shorter vocal tract.
    """
    n = spectrum.shape[0]
    source = np.arange(n) / factor
    below = np.minimum(source.astype(int), n - 2)
    share = np.clip(source - below, 0, 1).astype(np.float32)[:, None]
    return spectrum[below] * (1 - share) + spectrum[below + 1] * share


def move_pitch(f0: Any, pitch: float, extent: float) -> Any:
    """Multiplies f0, in Hz, by `pitch`, and its range by `extent`, on a logarithmic scale."""
    voiced = f0 > 40
    centre = np.mean(np.log(f0[voiced])) if voiced.any() else np.log(200.0)
    moved = np.exp(centre + extent * (np.log(np.maximum(f0, 41)) - centre)) * pitch
    return np.where(voiced, moved, 0).astype(np.float32)


def say_hibari(text: str, rng: random.Random, number: int) -> tuple[Any, str]:
    """Returns samples at `RATE` and the speaker. Long vocal tracts get low voices."""
    from hibari import dsp

    tract = round(rng.uniform(0.80, 1.12), 3)
    speed = rng.uniform(0.9, 1.15)
    low = 0.48 + 1.6 * max(0.0, tract - 0.80)
    pitch = rng.uniform(low, min(1.3, low + 0.3))
    extent = rng.uniform(0.8, 1.2)
    breath = np.float32(rng.choice([0.0, rng.uniform(0, 0.5)]))
    noise = np.random.default_rng(number)
    pieces = []
    for phones in hibari().phonemize(text):
        ids = np.asarray([hibari().ids(phones)], np.int64)
        inputs = {"ids": ids, "speed": np.asarray([speed], np.float32)}
        *shapes, phase, f0 = (np.asarray(out[0]) for out in hibari().sess.run(None, inputs))
        voice, third, breathing, rest = (move_formants(shape, tract) for shape in shapes)
        f0 = move_pitch(f0, pitch, extent)
        pieces.append(dsp.synth(voice, third, breathing + breath, rest, phase, f0, noise))
    return resample_poly(np.concatenate(pieces), 2, 3), f"hibari-{tract}"


def say_flite(text: str, rng: random.Random) -> tuple[Any, str]:
    """Returns samples at `RATE` and the speaker.

    Resampling by a factor above 1 gives a shorter vocal tract and a higher pitch.
    """
    name = rng.choice(FLITE_VOICES)
    stretch = rng.uniform(0.85, 1.15)
    factor = round(rng.uniform(0.88, 1.15), 2)
    core, voices = flite()
    ctypes.CDLL(None).srand(rng.getrandbits(31))  # flite takes noise from the C library
    voice = voices[name]
    # Resampling divides the duration by `factor`.
    core.flite_feat_set_float(voice.contents.features, b"duration_stretch", stretch * factor)
    pointer = core.flite_text_to_wave(text.encode(), voice)
    if not pointer:
        raise ValueError("flite returned nothing")
    wave = pointer.contents
    samples = np.ctypeslib.as_array(wave.data, (wave.samples * wave.channels,)) / 32768
    up = RATE * 50
    down = round(wave.rate * factor * 50)
    core.delete_wave(pointer)
    divisor = np.gcd(up, down)
    return resample_poly(samples, up // divisor, down // divisor), f"flite-{name}-{factor}"


def trim(samples: Any, keep: float = 0.15, below: float = 0.01) -> Any:
    """Trims silence at both ends to `keep` seconds. Silence is 40 dB below the loud frames."""
    hop = RATE // 100
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    if len(frames) < 5:
        return samples
    level = np.sqrt((frames.astype(np.float64) ** 2).mean(1))
    loud = np.flatnonzero(level > below * np.percentile(level, 95))
    first = loud[0] / 100 - keep
    last = (loud[-1] + 1) / 100 + keep
    return samples[max(0, int(first * RATE)) : int(last * RATE)]
