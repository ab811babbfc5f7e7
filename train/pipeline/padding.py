"""Padding of clips and of batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.features import Frames, Padding
from ds2edge.train.recipe import ModelSettings, Recipe

BATCH_STEPS = 16  # batches are padded to a multiple of this, so that few shapes are traced


def padding_of(model: ModelSettings) -> Padding:
    """The silence that a model needs around a clip."""
    return Padding(model.warmup, model.time_stride, model.delay, model.attention_chunk)


def batch_length(frames: int, time_stride: int) -> int:
    """The padded length, in frames, of a batch whose longest clip has this many."""
    multiple = BATCH_STEPS * time_stride
    return -(-frames // multiple) * multiple


def padded_frames(seconds: float, recipe: Recipe) -> int:
    """Frames of a clip of so many seconds, with the silence that the model needs around it."""
    settings = recipe.features
    padding = padding_of(recipe.model)
    samples = int(seconds * settings.sample_rate)
    return settings.frames(samples + padding.before(settings) + padding.after(samples, settings))


def pad_batch(clips: Sequence[Frames], length: int) -> dict[str, npt.NDArray[Any]]:
    """The inputs of a network, padded with zeros at the end.

    "features" is float32 [clips, length, bins], "lengths" is int32 [clips] in frames.
    """
    return {
        "features": np.stack([np.pad(f, ((0, length - len(f)), (0, 0))) for f in clips]),
        "lengths": np.array([len(f) for f in clips], np.int32),
    }
