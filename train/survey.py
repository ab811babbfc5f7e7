"""The first pass over the data: which clips can be used, and the feature statistics of those to train on."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from ds2edge.runtime.errors import InputError
from ds2edge.train.feature_cache import Drawn, FeatureCache, Statistics
from ds2edge.train.manifest import SPLITS, Clip
from ds2edge.train.progress import track
from ds2edge.train.recipe import Recipe
from ds2edge.train.text import encode, normalise

log = logging.getLogger("ds2edge")

MOST_SKIPPED = 0.01  # of all clips; past that something is wrong with the data as a whole
# Of a bin, in dB. Where the recordings have a band that is empty (telephone speech, say), the first noise in it would
# otherwise be worth more than all the speech.
LEAST_DEVIATION = 8.0
NAMED = 5  # skipped clips that are named one by one


@dataclass(frozen=True)
class Example:
    """A clip that can be trained on or scored: its text is normalised and fits its audio."""

    clip: Clip
    text: str
    labels: list[int]


@dataclass(frozen=True)
class Survey:
    """Examples by split, and mean and deviation (dB per bin) over the training split."""

    examples: dict[str, list[Example]]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def survey(clips: list[Clip], recipe: Recipe, cache: FeatureCache) -> Survey:
    """Reads every clip once, in worker processes, unless the cache knows it.

    InputError if there is nothing to train on or more than 1 % cannot be used. A clip is skipped, named and counted
    when it cannot be read, when nothing of its text is left by the normaliser, or when its text needs more steps than
    the model puts out for it.
    """
    examples: dict[str, list[Example]] = {split: [] for split in SPLITS}
    skipped: list[str] = []
    sums, frames = np.zeros((2, recipe.features.bins)), 0
    inspected = Parallel(n_jobs=-1, return_as="generator")(delayed(_inspect)(clip, recipe, cache) for clip in clips)
    for found in track(inspected, f"reading {len(clips)} clips", len(clips)):
        if isinstance(found, str):
            skipped.append(found)
            continue
        example, statistics = found
        examples[example.clip.split].append(example)
        if example.clip.split == "train":
            sums, frames = sums + statistics.sums, frames + statistics.frames
    for problem in skipped[:NAMED]:
        log.warning("skipped: %s", problem)
    if skipped:
        log.warning("skipped %d of %d clips", len(skipped), len(clips))
    if len(skipped) > MOST_SKIPPED * len(clips):
        raise InputError(f"{len(skipped)} of {len(clips)} clips cannot be used, more than 1 %; the first: {skipped[0]}")
    for split in ("train", "dev"):
        if not examples[split]:
            raise InputError(f"no clip of split '{split}' to {'learn from' if split == 'train' else 'judge by'}")
    mean, square = sums / frames
    deviation = np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), LEAST_DEVIATION)
    return Survey(examples, tuple(mean.round(3).tolist()), tuple(deviation.round(3).tolist()))


def compute_features(found: Survey, recipe: Recipe, cache: FeatureCache) -> None:
    """Has worker processes fill the cache with what every epoch will read: dev, and the variants to train on."""
    wanted: list[tuple[Clip, Drawn | None]] = [(example.clip, None) for example in found.examples["dev"]]
    for variant in range(recipe.training.variants):
        wanted += [(example.clip, drawn_variant(example.clip, variant, recipe)) for example in found.examples["train"]]
    computed = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_compute)(clip.audio, drawn, cache) for clip, drawn in wanted
    )
    for _ in track(computed, f"computing features of {len(wanted)} clips", len(wanted)):
        pass
    # Idle workers would keep their memory through the training, and outlive it for minutes where it is killed.
    get_reusable_executor().shutdown()


def drawn_variant(clip: Clip, variant: int, recipe: Recipe) -> Drawn:
    """The augmented version number `variant` of a clip."""
    # By the file's name, so that the cache still knows it when other clips have come before it.
    return Drawn(recipe.augmentation, (recipe.training.seed, variant, zlib.crc32(clip.audio.name.encode())))


def _compute(path: Path, drawn: Drawn | None, cache: FeatureCache) -> None:
    cache.levels(path, drawn)


def _inspect(clip: Clip, recipe: Recipe, cache: FeatureCache) -> tuple[Example, Statistics] | str:
    """The example and its statistics, or why there is none."""
    text = normalise(clip.text).text
    if not text:
        return f"{clip.audio}: no letter is left of its text {clip.text!r}"
    try:
        found = cache.statistics(clip.audio)
    except InputError as error:
        return str(error)
    labels = encode(text)
    # CTC needs a blank between equal neighbours.
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    have = int(found.frames / recipe.augmentation.speed[1]) // recipe.model.time_stride  # at its fastest
    if needed > have:
        return f"{clip.audio}: its text needs {needed} steps, its {clip.duration:g} s of audio give {have}"
    return Example(clip, text, labels), found
