"""Features of clips, computed once and kept on disk for later epochs and runs."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, Frames
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


class FeatureCache:
    """Levels (dB per bin) of clips. Interrupted and concurrent runs may share a folder."""

    def __init__(self, folder: Path | None, recipe: Recipe) -> None:
        """With `folder` None, or one that cannot be written (which is logged), nothing is kept."""
        self._folder = folder / f"features-{VERSION}" if folder else None
        if self._folder and not _writable(self._folder):
            self._folder = None
        self._settings = recipe.features
        self._padding = padding_of(recipe.model)

    def statistics(self, path: Path) -> Statistics:
        """Statistics of a clip. InputError if it cannot be read."""

        def compute() -> npt.NDArray[np.float64]:
            levels = Features(self._settings)(read_audio(path, self._settings.sample_rate))
            squares = (levels.astype(np.float64) ** 2).sum(0)
            count = np.full(levels.shape[1], len(levels), np.float64)
            return np.stack([levels.sum(0, np.float64), squares, count])

        sums = self._cached(("statistics", path, self._settings), compute)
        return Statistics(sums[:2], int(sums[2, 0]))

    def levels(self, path: Path, version: AugmentedVersion | None = None) -> Frames:
        """Levels of a clip with the padding that the network needs, float32 [frames, bins] in dB.

        They are rounded to float16, whose steps of at most 1/16 dB are far below any standard
        deviation. InputError if the clip cannot be read.
        """

        def compute() -> npt.NDArray[np.float16]:
            rate = self._settings.sample_rate
            samples = read_audio(path, rate)
            if version:
                rng = np.random.default_rng(version.seed)
                samples = augment_samples(samples, rate, version.settings, rng)
            return Features(self._settings).padded(samples, self._padding).astype(np.float16)

        key = ("levels", path, self._settings, self._padding, version)
        levels: Frames = self._cached(key, compute).astype(np.float32)
        return levels

    def _cached(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """The array that `compute` returns: read from the folder, or computed and stored there."""
        path = self._entry(key)
        if path is None:
            return compute()
        try:
            return np.load(path)
        except (OSError, EOFError, ValueError):  # not there, or cut short
            array = compute()
        _store(array, path)
        return array

    def _entry(self, key: tuple[Any, ...]) -> Path | None:
        """The file for a key, whose second member is the sound file. None if nothing is kept."""
        if self._folder is None:
            return None
        try:
            status = os.stat(key[1])
        except OSError:  # reading the sound file says what is wrong
            return None
        text = repr((*key, status.st_size, status.st_mtime_ns))
        name = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}.npy"


def _store(array: Any, path: Path) -> None:
    """Writes an array under another name, then renames it: an entry is whole or not there."""
    beside = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                np.save(file, array)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:  # a full disk costs time, nothing else
        log.debug("%s: cannot be written (%s)", path, error.strerror)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        reason = error.strerror
        log.warning("%s: cannot be written (%s): features are computed anew", folder.parent, reason)
        return False
