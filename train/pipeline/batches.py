"""Length-bucketed batches of examples, as numpy arrays for any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features, Frames
from ds2edge.train.augmentation.augment import augment_samples, mask_frames
from ds2edge.train.distribution import ALONE, Group
from ds2edge.train.pipeline.dataset import Example, drawn_variant
from ds2edge.train.pipeline.feature_cache import FeatureCache, padding_of
from ds2edge.train.recipe import Recipe, TrainingSettings

PADDED_STEPS = 16  # lengths are padded to a multiple of this, so that few shapes are traced


class Batches(keras.utils.PyDataset):
    """Batches of clips of about equal length.

    What epoch e makes of clip i depends on (seed, e, i) alone: a resumed training sees what an unbroken one would have.
    """

    def __init__(
        self,
        examples: list[Example],
        recipe: Recipe,
        features: Features,
        cache: FeatureCache,
        augment: bool,
        group: Group = ALONE,
        **workers: Any,
    ) -> None:
        """Begins with epoch 0. `augment` also draws the order; `group`: whose share of each batch this process gets;
        `workers` as for keras.utils.PyDataset."""
        super().__init__(**workers)
        self.examples, self.recipe, self.features, self.augment = (
            examples,
            recipe,
            features,
            augment,
        )
        self.cache, self.group = cache, group
        self.longest_text = max(len(example.labels) for example in examples)
        self.durations = np.array([example.clip.duration for example in examples])
        self.weights = np.array([example.clip.weight for example in examples])
        self.sizes = batch_sizes(self.durations, recipe.training)
        self.begin(0)

    def __len__(self) -> int:
        """Batches in an epoch: as many in every one."""
        return len(self.sizes)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """{"features", "lengths"}, {"labels", "label_lengths"} of one batch, and maybe weights [rows].

        There are weights with several devices, and in training where a clip weighs other than 1. Several devices get
        equal shares: a batch is filled up with empty rows, whose lengths and weights are 0. The other rows weigh so
        much more that the mean over all is the mean of the clips, each times its own weight.
        """
        chosen = self.order[index]
        share = self.group.share(len(chosen))
        mine = [int(chosen[row]) for row in share if row < len(chosen)]
        empty = len(share) - len(mine)
        frames = [self._frames(i) for i in mine] + [
            np.zeros((0, self.recipe.features.bins), np.float32)
        ] * empty
        labels = [self.examples[i].labels for i in mine] + [[]] * empty
        longest = max(map(len, frames)) if self.group.processes == 1 else self._longest(chosen)
        for i, made in zip(mine, frames, strict=False):
            if len(made) > longest:
                clip = self.examples[i].clip
                raise InputError(
                    f"{clip.audio}: is longer than the {clip.duration:g} s that the manifest says"
                )
        quantum = PADDED_STEPS * self.recipe.model.time_stride
        longest = -(-longest // quantum) * quantum
        if index == 0:
            longest += quantum  # so that it differs from the second (see `begin`) even where all clips are as long
        inputs = {
            "features": np.stack([np.pad(f, ((0, longest - len(f)), (0, 0))) for f in frames]),
            "lengths": np.array([len(f) for f in frames], np.int32),
        }
        targets = {
            "labels": np.array(
                [row + [0] * (self.longest_text - len(row)) for row in labels], np.int32
            ),
            "label_lengths": np.array([len(row) for row in labels], np.int32),
        }
        weighted = self.augment and bool(
            (self.weights != 1).any()
        )  # clips that judge all count alike
        if self.group.devices == 1 and not weighted:
            return inputs, targets
        weights = np.zeros(len(share), np.float32)
        weights[: len(mine)] = len(share) * self.group.processes / len(chosen)
        if weighted:
            weights[: len(mine)] *= self.weights[mine]
        return inputs, targets, weights

    def texts(self, index: int) -> list[str]:
        """Reference texts of one batch."""
        return [self.examples[i].text for i in self.order[index]]

    def begin(self, epoch: int) -> None:
        """Draws what epoch number `epoch` (from 0) is made of."""
        self.epoch = epoch
        rng = np.random.default_rng((self.recipe.training.seed, epoch))
        durations = self.durations
        if self.augment:  # or the same clips would meet in every epoch
            durations = durations * rng.uniform(0.9, 1.1, len(durations))
        ranked = np.argsort(-durations, kind="stable")
        batches = np.split(ranked, np.cumsum(self.sizes)[:-1])
        # Longest first: if memory does not suffice, that shows at once. Shortest second: Keras takes the dimensions in
        # which the first two batches differ for the variable ones.
        rest = batches[1:-1]
        if self.augment and self.recipe.training.sorted_first_epoch and epoch == 0:
            rest = rest[::-1]
        elif self.augment:
            rest = [rest[i] for i in rng.permutation(len(rest))]
        self.order = [*batches[:1], *(batches[-1:] if len(batches) > 1 else []), *rest]

    def _longest(self, chosen: npt.NDArray[np.int64]) -> int:
        """Frames that no clip of a batch exceeds: all processes must pad alike, though each computes its own clips."""
        settings, model, drawn = self.features.settings, self.recipe.model, self.recipe.augmentation
        seconds = self.durations[chosen].max() + 0.01  # a manifest rounds, and so does resampling
        if self.augment:
            seconds = seconds / min(1.0, drawn.speed[0]) + drawn.leading_silence[1]
        samples = int(seconds * settings.sample_rate)
        padding = padding_of(model)
        samples += padding.before(settings) + padding.after(samples, settings)
        return settings.frames(samples)

    def _frames(self, index: int) -> Frames:
        path, settings = self.examples[index].clip.audio, self.recipe.augmentation
        if not self.augment:
            return self.features.normalise(self.cache.levels(path))
        rng = np.random.default_rng((self.recipe.training.seed, self.epoch, index))
        if variants := self.recipe.training.cached_augmentations:
            drawn = drawn_variant(
                self.examples[index].clip, (self.epoch + index) % variants, self.recipe
            )
            frames = self.features.normalise(self.cache.levels(path, drawn))
        else:
            rate = self.features.settings.sample_rate
            samples = augment_samples(read_audio(path, rate), rate, settings, rng)
            frames = self.features.padded(samples, padding_of(self.recipe.model))
        return mask_frames(frames, settings, rng)


def batch_sizes(durations: npt.NDArray[np.float64], settings: TrainingSettings) -> list[int]:
    """Clips in each batch, of clips in order of their length, longest first. Durations in seconds."""
    if not settings.batch_seconds:
        whole, rest = divmod(len(durations), settings.batch_size)
        return [settings.batch_size] * whole + ([rest] if rest else [])
    sizes: list[int] = []
    longest = 0.0  # of the batch that is being filled
    for duration in np.sort(durations)[::-1]:
        if sizes and (sizes[-1] + 1) * longest <= settings.batch_seconds:
            sizes[-1] += 1
        else:
            sizes.append(1)
            longest = float(duration)
    return sizes
