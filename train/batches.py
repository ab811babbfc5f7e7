"""Length-bucketed batches of examples, as numpy arrays for any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.features import Features, Frames
from ds2edge.runtime.specification import silence_after
from ds2edge.train.augmentation import augment_samples, mask_frames
from ds2edge.train.recipe import Recipe
from ds2edge.train.survey import Example

PADDED_STEPS = 16  # lengths are padded to a multiple of this, so that few shapes are traced


class Batches(keras.utils.PyDataset):
    """Batches of clips of about equal length.

    What epoch e makes of clip i depends on (seed, e, i) alone: a resumed training sees what an unbroken one would have.
    """

    def __init__(
        self, examples: list[Example], recipe: Recipe, features: Features, augment: bool, **workers: Any
    ) -> None:
        """`augment` also draws the order; `workers` as for keras.utils.PyDataset. Begins with epoch 0."""
        super().__init__(**workers)
        self.examples, self.recipe, self.features, self.augment = examples, recipe, features, augment
        self.longest_text = max(len(example.labels) for example in examples)
        self.begin(0)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.examples) // self.recipe.training.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
        """{"features", "lengths"}, {"labels", "label_lengths"} of one batch."""
        chosen = self.order[index]
        frames = [self._frames(int(i)) for i in chosen]
        labels = [self.examples[i].labels for i in chosen]
        quantum = PADDED_STEPS * self.recipe.model.time_stride
        longest = -(-max(map(len, frames)) // quantum) * quantum
        inputs = {
            "features": np.stack([np.pad(f, ((0, longest - len(f)), (0, 0))) for f in frames]),
            "lengths": np.array([len(f) for f in frames], np.int32),
        }
        targets = {
            "labels": np.array([row + [0] * (self.longest_text - len(row)) for row in labels], np.int32),
            "label_lengths": np.array([len(row) for row in labels], np.int32),
        }
        return inputs, targets

    def texts(self, index: int) -> list[str]:
        """Reference texts of one batch."""
        return [self.examples[i].text for i in self.order[index]]

    def begin(self, epoch: int) -> None:
        """Draws what epoch number `epoch` (from 0) is made of."""
        self.epoch = epoch
        random = np.random.default_rng((self.recipe.training.seed, epoch))
        durations = np.array([example.clip.duration for example in self.examples])
        if self.augment:  # or the same clips would meet in every epoch
            durations *= random.uniform(0.9, 1.1, len(durations))
        size = self.recipe.training.batch_size
        ranked = np.argsort(-durations, kind="stable")
        batches = [ranked[i : i + size] for i in range(0, len(ranked), size)]
        # Longest first: if memory does not suffice, that shows at once. Shortest second: Keras takes the dimensions in
        # which the first two batches differ for the variable ones.
        rest = batches[1:-1]
        if self.augment:
            rest = [rest[i] for i in random.permutation(len(rest))]
        self.order = [*batches[:1], *(batches[-1:] if len(batches) > 1 else []), *rest]

    def _frames(self, index: int) -> Frames:
        settings, model = self.features.settings, self.recipe.model
        samples = read_audio(self.examples[index].clip.audio, settings.sample_rate)
        random = np.random.default_rng((self.recipe.training.seed, self.epoch, index))
        if self.augment:
            samples = augment_samples(samples, settings.sample_rate, self.recipe.augmentation, random)
        silence = silence_after(len(samples), settings, model.time_stride, model.lookahead)
        warmup = model.warmup * model.time_stride * settings.hop
        frames = self.features(np.pad(samples, (warmup, silence)))
        return mask_frames(frames, self.recipe.augmentation, random) if self.augment else frames
