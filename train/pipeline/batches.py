"""Batches of clips of about equal length, as numpy arrays for any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features, Frames
from ds2edge.train.augmentation.augment import augment_samples, draw_timing, mask_frames
from ds2edge.train.distribution import ALONE, Group
from ds2edge.train.pipeline.dataset import Example, augmented_version
from ds2edge.train.pipeline.feature_cache import AugmentedVersion, FeatureCache
from ds2edge.train.pipeline.padding import (
    BATCH_STEPS,
    batch_length,
    pad_batch,
    padded_frames,
    padding_of,
)
from ds2edge.train.pipeline.shares import ClipsOfEpoch
from ds2edge.train.recipe import Recipe

Arrays = dict[str, npt.NDArray[Any]]


class Batches(keras.utils.PyDataset):
    """Batches of clips of about equal length.

    How clip i of epoch e sounds depends on (seed, e, i) alone. So a resumed training sees what an
    unbroken one sees.
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
        """Starts with epoch 0.

        `augment` also draws the order of the batches and applies the weights of the clips. `group`
        decides which rows of each batch this process gets. `workers` are arguments of
        keras.utils.PyDataset.
        """
        super().__init__(**workers)
        self.examples = examples
        self.recipe = recipe
        self.features = features
        self.cache = cache
        self.augment = augment
        self.group = group
        self.padding = padding_of(recipe.model)
        self.views = 2 if augment and recipe.training.consistency else 1  # rows of each clip
        self.longest_text = max(len(example.labels) for example in examples)
        self.clips_of_epoch = clips_of_epoch(examples)
        self.sizes = batch_sizes(self.clips_of_epoch.upper_bounds, recipe)
        self.begin(0)

    def __len__(self) -> int:
        """Number of batches, the same in every epoch."""
        return len(self.sizes)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Inputs and targets of one batch (see `collate`), and weights [rows] if they are needed.

        With several devices each gets the same number of rows. Empty rows, of length 0 and weight
        0, fill up a batch. If the recipe has a `consistency`, each clip has two rows, one after the
        other, which differ in their masks.
        """
        batch = self.order[index]
        share = self.group.share(len(batch))
        clips = [int(batch[row]) for row in share if row < len(batch)]
        frames = [view for clip in clips for view in self._views(clip)]
        longest = self._longest(batch, clips, frames)
        length = batch_length(longest, self.padding.time_stride)
        if index == 0:
            # It must differ from the second batch even where all clips are equally long: see
            # `begin`.
            length += BATCH_STEPS * self.padding.time_stride
        empty = self.views * (len(share) - len(clips))
        frames += [np.zeros((0, self.recipe.features.bins), np.float32)] * empty
        labels = [self.drawn[clip].labels for clip in clips for _ in range(self.views)]
        inputs, targets = collate(frames, labels + [[]] * empty, length, self.longest_text)
        weights = self._row_weights(clips, len(share), len(batch))
        if weights is None:
            return inputs, targets
        return inputs, targets, weights.repeat(self.views)

    def texts(self, index: int) -> list[str]:
        """Reference texts of one batch."""
        return [self.drawn[i].text for i in self.order[index]]

    def begin(self, epoch: int) -> None:
        """Draws the clips and the order of epoch number `epoch`, counted from 0."""
        self.epoch = epoch
        rng = np.random.default_rng((self.recipe.training.seed, epoch))
        self.drawn = [self.examples[i] for i in self.clips_of_epoch.draw(rng)]
        self.durations = np.array([self._duration(i) for i in range(len(self.drawn))])
        self.weights = np.array([example.clip.weight for example in self.drawn])
        if self.augment:
            # Clips that are padded to the same length meet others in every epoch.
            stride = self.padding.time_stride
            lengths = [batch_length(padded_frames(s, self.recipe), stride) for s in self.durations]
            ranked = np.lexsort((rng.random(len(lengths)), -np.array(lengths)))
        else:
            ranked = np.argsort(-self.durations, kind="stable")
        batches = np.split(ranked, np.cumsum(self.sizes)[:-1])
        # Longest first: if memory is too small, that shows at once. Shortest second: Keras treats
        # those dimensions as variable in which the first two batches differ.
        rest = batches[1:-1]
        if self.augment and self.recipe.training.sorted_first_epoch and epoch == 0:
            rest = rest[::-1]
        elif self.augment:
            rest = [rest[i] for i in rng.permutation(len(rest))]
        self.order = [*batches[:1], *(batches[-1:] if len(batches) > 1 else []), *rest]

    def _longest(self, batch: npt.NDArray[np.int64], clips: list[int], frames: list[Frames]) -> int:
        """Frames of the longest clip of a batch, or an upper bound that all processes agree on.

        InputError, with the clip, for one that is longer than the manifest says.
        """
        if self.group.processes == 1:
            return max(map(len, frames))
        # All processes must pad alike, but each computes only its own clips. A manifest rounds
        # durations, and so does resampling.
        bound = padded_frames(self.durations[batch].max() + 0.01, self.recipe)
        for index, computed in zip(clips, frames, strict=True):
            if len(computed) > bound:
                clip = self.drawn[index].clip
                raise InputError(
                    f"{clip.audio}: is longer than the {clip.duration:g} s that the manifest says"
                )
        return bound

    def _row_weights(
        self, clips: list[int], rows: int, batch_size: int
    ) -> npt.NDArray[np.float32] | None:
        """Weight of the loss of each row, float32 [rows]; None if all are 1.

        Keras takes the mean over all rows. Empty rows weigh 0 and the others more than 1, so that
        this is the mean over the clips, each times its own weight. Clips that the model is judged
        by all weigh the same.
        """
        weighted = self.augment and bool((self.weights != 1).any())
        if self.group.devices == 1 and not weighted:
            return None
        weights = np.zeros(rows, np.float32)
        weights[: len(clips)] = rows * self.group.processes / batch_size
        if weighted:
            weights[: len(clips)] *= self.weights[clips]
        return weights

    def _duration(self, index: int) -> float:
        """Seconds of a clip, as it is in this epoch."""
        seconds = float(self.drawn[index].clip.duration)
        if not self.augment:
            return seconds
        version = self._version(index)
        rng = np.random.default_rng(version.seed) if version else self._rng(index)
        return draw_timing(self.recipe.augmentation, rng).duration(seconds)

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.training.seed, self.epoch, index))

    def _version(self, index: int) -> AugmentedVersion | None:
        """The cached version of a clip that this epoch uses; None if it gets a new one."""
        versions = self.recipe.training.cached_augmentations
        if not versions:
            return None
        number = (self.epoch + index) % versions
        return augmented_version(self.drawn[index].clip, number, self.recipe)

    def _views(self, index: int) -> list[Frames]:
        """Normalised features of a clip, with padding, as they are in this epoch."""
        clip = self.drawn[index].clip
        if not self.augment:
            return [self.features.normalise(self.cache.levels(clip.audio))]
        settings = self.recipe.augmentation
        rng = self._rng(index)
        if version := self._version(index):
            frames = self.features.normalise(self.cache.levels(clip.audio, version))
        else:
            rate = self.features.settings.sample_rate
            samples = augment_samples(read_audio(clip.audio, rate), rate, settings, rng)
            frames = self.features.padded(samples, self.padding)
        return [mask_frames(frames, settings, rng) for _ in range(self.views)]


def collate(
    frames: list[Frames], labels: list[list[int]], length: int, label_length: int
) -> tuple[Arrays, Arrays]:
    """Inputs and targets of a batch of rows, padded with zeros.

    Inputs: "features" float32 [rows, length, bins], "lengths" int32 [rows] in frames. Targets:
    "labels" int32 [rows, label_length], "label_lengths" int32 [rows].
    """
    padded = [row + [0] * (label_length - len(row)) for row in labels]
    targets = {
        "labels": np.array(padded, np.int32),
        "label_lengths": np.array([len(row) for row in labels], np.int32),
    }
    return pad_batch(frames, length), targets


def clips_of_epoch(examples: list[Example]) -> ClipsOfEpoch:
    """Draws the clips of each epoch from `examples`."""
    clips = [example.clip for example in examples]
    return ClipsOfEpoch(
        np.array([clip.duration for clip in clips]), np.array([clip.uses for clip in clips])
    )


def batch_sizes(durations: npt.NDArray[np.float64], recipe: Recipe) -> list[int]:
    """Clips in each batch, for clips sorted from longest to shortest. Durations in seconds.

    With `batch_seconds`, clips that are usually padded to the same length come in batches of one
    size. So there are few shapes, and each is compiled or prepared only once.
    """
    settings = recipe.training
    if not settings.batch_seconds:
        whole, rest = divmod(len(durations), settings.batch_size)
        return [settings.batch_size] * whole + ([rest] if rest else [])
    augmentation = recipe.augmentation
    silence = sum(augmentation.leading_silence + augmentation.trailing_silence) / 2
    silence *= augmentation.silence_probability
    stride = padding_of(recipe.model).time_stride
    hop = recipe.features.hop / recipe.features.sample_rate
    sizes: list[int] = []
    longest = 0.0  # of the batch that is being filled
    for duration in np.sort(durations)[::-1]:
        if sizes and (sizes[-1] + 1) * longest <= settings.batch_seconds:
            sizes[-1] += 1
        else:
            sizes.append(1)
            longest = hop * batch_length(padded_frames(duration + silence, recipe), stride)
    return sizes
