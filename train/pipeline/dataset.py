"""The first pass over the data: finds usable clips and measures their features."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.limits import NO_LIMITS, ClipLimits
from ds2edge.train.data.manifest import SPLITS, Clip
from ds2edge.train.data.skipped import name_some, refuse_many
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.pipeline.feature_cache import AugmentedVersion, FeatureCache, Statistics
from ds2edge.train.progress import track
from ds2edge.train.recipe import Recipe

log = logging.getLogger("ds2edge")

# dB, of a bin. Recordings may have an empty band, as telephone speech does. With a smaller standard
# deviation, the first noise in that band would outweigh all speech.
MIN_STD = 8.0
MAX_ROUNDING = 0.1  # seconds: frames may hold a little more than the clip
LETTER_SYMBOLS = Symbols()


@dataclass(frozen=True)
class Example:
    """A clip that can be trained on or scored. Its text is normalised and fits its audio."""

    clip: Clip
    text: str
    labels: list[int]


@dataclass(frozen=True)
class Dataset:
    """Usable clips by split; mean and standard deviation (dB per bin) of the training split."""

    examples: dict[str, list[Example]]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def scan_dataset(
    clips: list[Clip],
    recipe: Recipe,
    cache: FeatureCache,
    symbols: Symbols = LETTER_SYMBOLS,
    limits: ClipLimits = NO_LIMITS,
) -> Dataset:
    """Reads every clip once, in worker processes. What the cache holds is not read again.

    A clip is skipped, named and counted if it cannot be read, if the normaliser leaves nothing of
    its text, if its audio is longer than the limit although the manifest says otherwise, or if its
    text needs more output steps than its audio gives. Clips of weight 0 are left out.

    InputError if split train or dev has no usable clip. InputError if more than 1 % of a large set
    cannot be read or have no text, unless the limits allow it.
    """
    clips = [clip for clip in clips if clip.weight]
    examples: dict[str, list[Example]] = {split: [] for split in SPLITS}
    unusable: list[str] = []
    too_short: list[str] = []
    sums = np.zeros((2, recipe.features.bins))
    frames = 0
    inspected = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_inspect)(clip, cache) for clip in clips
    )
    for result in track(inspected, f"reading {len(clips)} clips", len(clips)):
        if isinstance(result, str):
            unusable.append(result)
            continue
        clip, text, statistics = result
        if problem := _too_long(clip, statistics.frames * recipe.features.step_seconds(1), limits):
            unusable.append(problem)
            continue
        example = Example(clip, text, symbols.encode(text))
        if problem := _too_short(example, statistics.frames, recipe):
            too_short.append(problem)
            continue
        examples[clip.split].append(example)
        if clip.split == "train":
            sums += statistics.sums
            frames += statistics.frames
    _report(unusable, too_short, len(clips), limits)
    _require_examples(examples, too_short)
    mean, square = sums / frames
    std = np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), MIN_STD)
    return Dataset(examples, tuple(mean.round(3).tolist()), tuple(std.round(3).tolist()))


def _inspect(clip: Clip, cache: FeatureCache) -> tuple[Clip, str, Statistics] | str:
    """The clip, its normalised text and its statistics; or why it cannot be used."""
    try:
        text = normalise_clip(clip.audio, clip.text)
        return clip, text, cache.statistics(clip.audio)
    except InputError as error:
        return str(error)


def _too_long(clip: Clip, seconds: float, limits: ClipLimits) -> str:
    """Why a clip is too long although its manifest says a shorter duration; "" if it is not."""
    if seconds <= limits.max_seconds + MAX_ROUNDING:
        return ""
    says = f"the manifest says {clip.duration:g} s"
    return f"{clip.audio}: lasts {seconds:.1f} s, {says}: cut it, or raise --max-seconds"


def _too_short(example: Example, frames: int, recipe: Recipe) -> str:
    """Why a clip of so many frames cannot say its text; "" if it can."""
    labels = example.labels
    clip = example.clip
    # CTC needs a blank between equal neighbours.
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    fastest = int(frames / recipe.augmentation.speed[1])
    steps = fastest // recipe.model.time_stride
    if needed <= steps:
        return ""
    audio = f"its {clip.duration:g} s of audio give {steps}"
    return f"{clip.audio}: its text needs {needed} steps, {audio}"


def _report(
    unusable: Sequence[str], too_short: Sequence[str], clips: int, limits: ClipLimits
) -> None:
    name_some(unusable, clips)
    name_some(too_short, clips)
    if unusable or too_short:
        log.warning(
            "skipped %d of %d clips, %d of them because their audio is too short for their text",
            len(unusable) + len(too_short),
            clips,
            len(too_short),
        )
    if not limits.skip_bad:
        refuse_many(unusable, clips)


def _require_examples(examples: dict[str, list[Example]], too_short: Sequence[str]) -> None:
    """InputError if there is nothing to train on, or nothing to choose the best epoch by."""
    for split, purpose in (("train", "train on"), ("dev", "choose the best epoch by")):
        if not examples[split]:
            reason = ""
            if too_short:
                count = len(too_short)
                reason = f" ({count} are too short for their text; the first: {too_short[0]})"
            raise InputError(f"no clip of split '{split}' to {purpose}{reason}")


def compute_features(dataset: Dataset, recipe: Recipe, cache: FeatureCache) -> None:
    """Fills the cache, in worker processes, with what every epoch reads.

    These are the features of split dev, and the augmented versions of split train.
    """
    wanted: list[tuple[Clip, AugmentedVersion | None]] = [
        (example.clip, None) for example in dataset.examples["dev"]
    ]
    for number in range(recipe.training.cached_augmentations):
        for example in dataset.examples["train"]:
            wanted.append((example.clip, augmented_version(example.clip, number, recipe)))
    computed = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_compute)(clip, version, cache) for clip, version in wanted
    )
    for _ in track(computed, f"computing features of {len(wanted)} clips", len(wanted)):
        pass
    # Idle workers would keep their memory during the training, and outlive it for minutes if it is
    # killed.
    get_reusable_executor().shutdown()


def _compute(clip: Clip, version: AugmentedVersion | None, cache: FeatureCache) -> None:
    cache.levels(clip.audio, version)


def augmented_version(clip: Clip, number: int, recipe: Recipe) -> AugmentedVersion:
    """Augmented version number `number` of a clip.

    Its seed depends on the name of the sound file: the cache still knows a clip when others are
    added to the data.
    """
    name = zlib.crc32(clip.audio.name.encode())
    return AugmentedVersion(recipe.augmentation, (recipe.training.seed, number, name))
