"""The first pass over the data: which clips can be used, and the feature statistics of those to train on."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.train.manifest import Clip
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


@dataclass(frozen=True)
class _Finding:
    example: Example | None
    problem: str  # why there is no example
    sums: npt.NDArray[np.float64] | None  # [2, bins]: of levels and of their squares
    frames: int


def survey(clips: list[Clip], recipe: Recipe) -> Survey:
    """Reads every clip once. InputError if there is nothing to train on or more than 1 % cannot be used.

    A clip is skipped, named and counted when it cannot be read, when nothing of its text is left by the normaliser, or
    when its text needs more steps than the model puts out for it.
    """
    features = Features(recipe.features)
    with ThreadPoolExecutor() as pool:
        findings = pool.map(partial(_inspect, features=features, recipe=recipe), clips)
        results = list(track(findings, f"reading {len(clips)} clips", len(clips)))
    skipped = [result.problem for result in results if result.example is None]
    for problem in skipped[:NAMED]:
        log.warning("skipped: %s", problem)
    if skipped:
        log.warning("skipped %d of %d clips", len(skipped), len(clips))
    if len(skipped) > MOST_SKIPPED * len(clips):
        raise InputError(f"{len(skipped)} of {len(clips)} clips cannot be used, more than 1 %; the first: {skipped[0]}")
    examples = {split: [r.example for r in results if r.example and r.example.clip.split == split]
                for split in ("train", "dev", "test")}  # fmt: skip
    for split in ("train", "dev"):
        if not examples[split]:
            raise InputError(f"no clip of split '{split}' to {'learn from' if split == 'train' else 'judge by'}")
    training = [r for r in results if r.example and r.example.clip.split == "train"]
    total = sum(r.frames for r in training)
    mean, square = sum(r.sums for r in training if r.sums is not None) / total
    deviation = np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), LEAST_DEVIATION)
    return Survey(examples, tuple(mean.round(3).tolist()), tuple(deviation.round(3).tolist()))


def _inspect(clip: Clip, features: Features, recipe: Recipe) -> _Finding:
    def skip(problem: str) -> _Finding:
        return _Finding(None, problem, None, 0)

    text = normalise(clip.text).text
    if not text:
        return skip(f"{clip.audio}: no letter is left of its text {clip.text!r}")
    try:
        samples = read_audio(clip.audio, features.settings.sample_rate)
    except InputError as error:
        return skip(str(error))
    levels = features(samples)
    labels = encode(text)
    # CTC needs a blank between equal neighbours.
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    have = int(len(levels) / recipe.augmentation.speed[1]) // recipe.model.time_stride  # at its fastest
    if needed > have:
        return skip(f"{clip.audio}: its text needs {needed} steps, its {clip.duration:g} s of audio give {have}")
    sums = np.stack([levels.sum(0, np.float64), (levels.astype(np.float64) ** 2).sum(0)])
    return _Finding(Example(clip, text, labels), "", sums, len(levels))
