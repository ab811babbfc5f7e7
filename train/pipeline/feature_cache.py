"""What a clip sounds like, computed once: joblib keeps it on disk, whole or not at all, for any number of runs."""

from __future__ import annotations

import hashlib
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

from ds2edge.runtime import features
from ds2edge.runtime.audio import channels, decoders, links, mpeg
from ds2edge.runtime.audio import reader as audio
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, FeatureSettings, Frames, Padding
from ds2edge.train.augmentation import augment as augmentation
from ds2edge.train.augmentation import noise, rooms
from ds2edge.train.augmentation import sound_files as sounds
from ds2edge.train.augmentation import telephone as codec
from ds2edge.train.augmentation.augment import augment_samples
from ds2edge.train.recipe import Augmentation, ModelSettings, Recipe

log = logging.getLogger("ds2edge")

# joblib shows a traceback for an entry that a killed run or a full disk cut short, and computes it anew all the same;
# and it warns, file by file, when the disk is full.
logging.getLogger("joblib").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=joblib.memory.CacheWarning)

# Another version of the kit's own code makes other frames: what an older one left is not read.
CODE = hashlib.sha256(
    b"".join(
        Path(str(module.__file__)).read_bytes()
        for module in (
            audio,
            channels,
            decoders,
            features,
            links,
            mpeg,
            augmentation,
            codec,
            noise,
            rooms,
            sounds,
        )
    )
).hexdigest()


class AudioKey(NamedTuple):
    """A sound file as it is now."""

    path: str
    size: int
    modified: int  # nanoseconds


class Statistics(NamedTuple):
    """Sums over the frames of a clip, without the silence around it."""

    sums: npt.NDArray[np.float64]  # [2, bins]: of levels in dB and of their squares
    frames: int


@dataclass(frozen=True)
class Drawn:
    """An augmented version of a clip: the same seed makes the same one."""

    settings: Augmentation
    seed: tuple[int, ...]


class FeatureCache:
    """Levels (dB per bin) of clips. Interrupted and concurrent runs may share a folder."""

    def __init__(self, folder: Path | None, recipe: Recipe) -> None:
        """`folder` None: nothing is kept; nor is it, with a warning, in one that cannot be written."""
        memory = joblib.Memory(folder if folder and _writable(folder) else None, verbose=0)
        self._settings, self._padding = recipe.features, padding_of(recipe.model)
        self._statistics = memory.cache(statistics)
        self._levels = memory.cache(padded_levels)

    def statistics(self, path: Path) -> Statistics:
        """Of a clip. InputError if it cannot be read."""
        return Statistics(*_kept(self._statistics, _key(path), self._settings, CODE))

    def levels(self, path: Path, drawn: Drawn | None = None) -> Frames:
        """[frames, bins] in dB, with the silence before and after that the network needs. InputError as above."""
        levels: Frames = _kept(self._levels, _key(path), self._settings, self._padding, drawn, CODE)
        return levels.astype(np.float32)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        log.warning(
            "%s: cannot be written (%s): features are computed anew each time",
            folder,
            error.strerror,
        )
        return False


def _kept(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except OSError:  # a full disk stops joblib at some places and not at others
        return function.func(*arguments)


def statistics(key: AudioKey, settings: FeatureSettings, code: str) -> Statistics:
    """What FeatureCache.statistics returns, computed."""
    levels = Features(settings)(read_audio(key.path, settings.sample_rate))
    return Statistics(
        np.stack([levels.sum(0, np.float64), (levels.astype(np.float64) ** 2).sum(0)]), len(levels)
    )


def padded_levels(
    key: AudioKey,
    settings: FeatureSettings,
    padding: Padding,
    drawn: Drawn | None,
    code: str,
) -> npt.NDArray[np.float16]:
    """What FeatureCache.levels returns, computed; in float16, whose steps of 1/16 dB are far below any deviation."""
    samples = read_audio(key.path, settings.sample_rate)
    if drawn:
        rng = np.random.default_rng(drawn.seed)
        samples = augment_samples(samples, settings.sample_rate, drawn.settings, rng)
    return Features(settings).padded(samples, padding).astype(np.float16)


def padding_of(model: ModelSettings) -> Padding:
    """The silence that a model needs around a clip."""
    return Padding(model.warmup, model.time_stride, model.delay)


def _key(path: Path) -> AudioKey:
    try:
        status = os.stat(path)
    except OSError:
        return AudioKey(str(path), 0, 0)  # reading it says what is wrong
    return AudioKey(str(path), status.st_size, status.st_mtime_ns)
