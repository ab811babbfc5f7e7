"""Shares of several manifests in an epoch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip

Indices = npt.NDArray[np.int64]


def set_uses(
    manifests: Sequence[Path], clips: Sequence[list[Clip]], shares: Sequence[float]
) -> list[list[Clip]]:
    """The clips of each manifest. Those of split train get the `uses` that the shares ask for.

    `shares` has one number for each manifest: its share of the seconds that an epoch trains on.
    The epoch uses each clip of the first manifest once. InputError if a manifest has no share, or
    no clip to train on.
    """
    if len(shares) != len(manifests):
        raise InputError(
            f"manifest_shares in the recipe has {len(shares)} numbers for {len(manifests)} "
            "manifests: give one for each, in the same order"
        )
    seconds = [sum(clip.duration for clip in part if clip.split == "train") for part in clips]
    if 0 in seconds:
        raise InputError(
            f"{manifests[seconds.index(0)]}: has a share of the training but no clip of split train"
        )
    epoch = seconds[0] / shares[0]
    uses = [share * epoch / length for share, length in zip(shares, seconds, strict=True)]
    return [[_with_uses(clip, n) for clip in part] for part, n in zip(clips, uses, strict=True)]


def _with_uses(clip: Clip, uses: float) -> Clip:
    return dataclasses.replace(clip, uses=uses) if clip.split == "train" else clip


class ClipsOfEpoch:
    """Draws the clips of each epoch. Clip i is drawn `uses[i]` times on average.

    The clips lie on a line, the longest first, and each is as wide as it has uses. Marks at a
    distance of 1, from a random start, say which clips are drawn (systematic sampling). So all
    epochs have the same number of clips and almost the same lengths.
    """

    def __init__(self, durations: npt.NDArray[np.float64], uses: npt.NDArray[np.float64]) -> None:
        self.all_once = bool((uses == 1).all())
        self.ranked = np.argsort(-durations, kind="stable")
        ends = np.cumsum(uses[self.ranked])
        self.count = len(uses) if self.all_once else max(1, math.floor(ends[-1] + 1e-9))
        self.ends = ends * (self.count / ends[-1])
        # Mark k lies between k and k + 1, so it draws no clip that is longer than the one at k.
        self.upper_bounds = durations[self._marked(0.0)]

    def draw(self, rng: np.random.Generator) -> Indices:
        """Clips of one epoch, int64 [count]: all in their own order if each is used once."""
        if self.all_once:
            return np.arange(self.count)
        return self._marked(rng.uniform())

    def _marked(self, start: float) -> Indices:
        marks = np.arange(self.count) + start
        places = np.searchsorted(self.ends, marks, side="right")
        return self.ranked[np.minimum(places, len(self.ranked) - 1)]
