"""Padding: silence around a clip for the network, and zeros that make a batch equally long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.features import Features, FeatureSettings, Frames, Samples
from ds2edge.runtime.specification import silence_after
from ds2edge.train.recipe import ModelSettings

BATCH_STEPS = 16  # batches are padded to a multiple of this, so that few shapes are traced


class Padding(NamedTuple):
    """Silence around a clip, in output steps of the network."""

    warmup: int  # steps before the clip
    time_stride: int  # feature frames per step
    delay: int  # steps after the clip

    @classmethod
    def of(cls, model: ModelSettings) -> Padding:
        """The padding that a model needs."""
        return cls(model.warmup, model.time_stride, model.delay)

    def around(self, samples: int, settings: FeatureSettings) -> tuple[int, int]:
        """Zeros to put before and after a clip of so many samples."""
        before = self.warmup * self.time_stride * settings.hop
        return before, silence_after(samples, settings, self.time_stride, self.delay)


def padded_frames(samples: Samples, features: Features, padding: Padding) -> Frames:
    """Features [frames, bins] of a clip, float32 [n], with silence around it."""
    return features(np.pad(samples, padding.around(len(samples), features.settings)))


def batch_length(frames: int, time_stride: int) -> int:
    """Frames of a batch whose longest clip has so many: rounded up to whole groups of steps."""
    multiple = BATCH_STEPS * time_stride
    return -(-frames // multiple) * multiple


def pad_batch(clips: Sequence[Frames], length: int) -> dict[str, npt.NDArray[np.generic]]:
    """The inputs of a network, padded with zeros at the end.

    "features" is float32 [clips, length, bins], "lengths" is int32 [clips] in frames.
    """
    return {
        "features": np.stack([np.pad(f, ((0, length - len(f)), (0, 0))) for f in clips]),
        "lengths": np.array([len(f) for f in clips], np.int32),
    }
