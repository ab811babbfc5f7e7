"""Features of clips, computed once and kept on disk for later epochs and runs."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, FeatureSettings, Frames, Padding
from ds2edge.train.augmentation.augment import augment_samples
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.recipe import Augmentation, Recipe

log = logging.getLogger("ds2edge")

# Raise this number whenever the same clip and settings give other features: after a change of
# reading, resampling, mixing channels, features or augmentation. Caches of other versions are not
# read. A test holds features to recorded values and fails when this was forgotten.
VERSION = 1


class Statistics(NamedTuple):
    """Sums over the frames of a clip, without padding."""

    sums: npt.NDArray[np.float64]  # [2, bins]: of levels in dB, and of their squares
    frames: int


@dataclass(frozen=True)
class AugmentedVersion:
    """How to augment a clip. The same seed gives the same samples."""

    settings: Augmentation
    seed: tuple[int, ...]


class AudioKey(NamedTuple):
    """A sound file as it is now."""

    path: str
    size: int  # bytes
    modified: int  # nanoseconds


class FeatureCache:
    """Levels (dB per bin) of clips. Interrupted and concurrent runs may share a folder."""

    def __init__(self, folder: Path | None, recipe: Recipe) -> None:
        """With `folder` None, or one that cannot be written (which is logged), nothing is kept."""
        folder = folder / f"features-{VERSION}" if folder else None
        memory = joblib.Memory(folder if folder and _writable(folder) else None, verbose=0)
        self._settings = recipe.features
        self._padding = padding_of(recipe.model)
        self._statistics = memory.cache(statistics)
        self._levels = memory.cache(padded_levels)

    def statistics(self, path: Path) -> Statistics:
        """Statistics of a clip. InputError if it cannot be read."""
        return Statistics(*_cached(self._statistics, _key(path), self._settings))

    def levels(self, path: Path, version: AugmentedVersion | None = None) -> Frames:
        """Levels of a clip with the padding that the network needs, float32 [frames, bins] in dB.

        InputError if the clip cannot be read.
        """
        levels: Frames = _cached(self._levels, _key(path), self._settings, self._padding, version)
        return levels.astype(np.float32)


# joblib keeps the results of the next two functions, and drops those of other versions of their
# source. Comments and docstrings belong to the source, so the description of each stands here.
# Levels are rounded to float16, whose steps of at most 1/16 dB are below any standard deviation.
def statistics(key: AudioKey, settings: FeatureSettings) -> Statistics:
    levels = Features(settings)(read_audio(key.path, settings.sample_rate))
    squares = (levels.astype(np.float64) ** 2).sum(0)
    return Statistics(np.stack([levels.sum(0, np.float64), squares]), len(levels))


def padded_levels(
    key: AudioKey, settings: FeatureSettings, padding: Padding, version: AugmentedVersion | None
) -> npt.NDArray[np.float16]:
    samples = read_audio(key.path, settings.sample_rate)
    if version:
        rng = np.random.default_rng(version.seed)
        samples = augment_samples(samples, settings.sample_rate, version.settings, rng)
    return Features(settings).padded(samples, padding).astype(np.float16)


def _cached(function: Any, *arguments: Any) -> Any:
    _silence_joblib()
    try:
        return function(*arguments)
    except OSError:  # a full disk costs time, nothing else
        return function.func(*arguments)


@functools.cache
def _silence_joblib() -> None:
    """Once in a process: joblib warns of every entry that is cut short or finds no room."""
    logging.getLogger("joblib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=joblib.memory.CacheWarning)


def _key(path: Path) -> AudioKey:
    try:
        status = os.stat(path)
    except OSError:  # reading it says what is wrong
        return AudioKey(str(path), 0, 0)
    return AudioKey(str(path), status.st_size, status.st_mtime_ns)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        reason = error.strerror
        log.warning("%s: cannot be written (%s): features are computed anew", folder.parent, reason)
        return False
