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
from ds2edge.train.data.manifest import SPLITS, Clip
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import normalise
from ds2edge.train.pipeline.feature_cache import Drawn, FeatureCache, Statistics
from ds2edge.train.progress import track
from ds2edge.train.recipe import Recipe

log = logging.getLogger("ds2edge")

MOST_SKIPPED = 0.01  # of all clips; past that something is wrong with the data as a whole
# Of a bin, in dB. Where the recordings have a band that is empty (telephone speech, say), the first noise in it would
# otherwise be worth more than all the speech.
LEAST_DEVIATION = 8.0
SMALL = 200  # clips: of fewer, each that is skipped is named, and none is too many
NAMED = 5  # skipped clips of each kind that are named one by one
SPELLED_OUT = Symbols()


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
    std: tuple[float, ...]


def survey(
    clips: list[Clip], recipe: Recipe, cache: FeatureCache, symbols: Symbols = SPELLED_OUT
) -> Survey:
    """Reads every clip once, in worker processes, unless the cache knows it.

    A clip is skipped, named and counted when it cannot be read, when nothing of its text is left by the normaliser, or
    when its text needs more steps than the model puts out for it. Clips of weight 0 are left out. InputError if there
    is nothing to train on, or if more than 1 % of `SMALL` or more cannot be read or have no text.
    """
    clips = [clip for clip in clips if clip.weight]
    examples: dict[str, list[Example]] = {split: [] for split in SPLITS}
    skipped: list[str] = []
    short: list[str] = []
    sums, frames = np.zeros((2, recipe.features.bins)), 0
    inspected = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_inspect)(clip, cache) for clip in clips
    )
    for found in track(inspected, f"reading {len(clips)} clips", len(clips)):
        if isinstance(found, str):
            skipped.append(found)
            continue
        clip, text, statistics = found
        example = Example(clip, text, symbols.encode(text))
        if problem := _too_short(example, statistics.frames, recipe):
            short.append(problem)
            continue
        examples[clip.split].append(example)
        if clip.split == "train":
            sums, frames = sums + statistics.sums, frames + statistics.frames
    _report(skipped, short, len(clips))
    for split, purpose in (("train", "learn from"), ("dev", "judge by")):
        if not examples[split]:
            reason = (
                f" ({len(short)} have too little sound for their text; the first: {short[0]})"
                if short
                else ""
            )
            raise InputError(f"no clip of split '{split}' to {purpose}{reason}")
    mean, square = sums / frames
    std = np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), LEAST_DEVIATION)
    return Survey(examples, tuple(mean.round(3).tolist()), tuple(std.round(3).tolist()))


def _report(skipped: list[str], short: list[str], clips: int) -> None:
    named = clips if clips < SMALL else NAMED
    for problem in skipped[:named] + short[:named]:
        log.warning("skipped: %s", problem)
    if skipped or short:
        left_out = f"skipped {len(skipped) + len(short)} of {clips} clips"
        log.warning("%s, %d of them for too little sound for their text", left_out, len(short))
    if len(skipped) > MOST_SKIPPED * clips and clips >= SMALL:
        raise InputError(
            f"{len(skipped)} of {clips} clips cannot be used, more than 1 %; the first: {skipped[0]}"
        )


def compute_features(found: Survey, recipe: Recipe, cache: FeatureCache) -> None:
    """Has worker processes fill the cache with what every epoch will read: dev, and the variants to train on."""
    wanted: list[tuple[Clip, Drawn | None]] = [
        (example.clip, None) for example in found.examples["dev"]
    ]
    for variant in range(recipe.training.cached_augmentations):
        wanted += [
            (example.clip, drawn_variant(example.clip, variant, recipe))
            for example in found.examples["train"]
        ]
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
    return Drawn(
        recipe.augmentation, (recipe.training.seed, variant, zlib.crc32(clip.audio.name.encode()))
    )


def _compute(path: Path, drawn: Drawn | None, cache: FeatureCache) -> None:
    cache.levels(path, drawn)


def _inspect(clip: Clip, cache: FeatureCache) -> tuple[Clip, str, Statistics] | str:
    """The clip, its text normalised and its statistics, or why it cannot be used."""
    text = normalise(clip.text).text
    if not text:
        return f"{clip.audio}: no letter is left of its text {clip.text!r}"
    try:
        return clip, text, cache.statistics(clip.audio)
    except InputError as error:
        return str(error)


def _too_short(example: Example, frames: int, recipe: Recipe) -> str:
    """Why a clip of so many frames cannot say its text; "" if it can."""
    labels, clip = example.labels, example.clip
    # CTC needs a blank between equal neighbours.
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    have = int(frames / recipe.augmentation.speed[1]) // recipe.model.time_stride  # at its fastest
    if needed <= have:
        return ""
    return (
        f"{clip.audio}: its text needs {needed} steps, its {clip.duration:g} s of audio give {have}"
    )
