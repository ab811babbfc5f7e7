"""The second loss: two masked views of a clip must give similar outputs."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from ds2edge.runtime.features import Features
from ds2edge.train.data.text import LETTERS
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.losses.consistency import view_divergence
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.pipeline.dataset import scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache


def batches_of(clips, recipe, consistency, **options):
    training = dataclasses.replace(recipe.training, consistency=consistency)
    recipe = dataclasses.replace(recipe, training=training)
    cache = FeatureCache(None, recipe)
    dataset = scan_dataset(clips, recipe, cache)
    features = Features(recipe.features, dataset.mean, dataset.std)
    return Batches(dataset.examples["train"], recipe, features, cache, **options)


@pytest.fixture
def clips(mini_clips):
    train = [clip for clip in mini_clips if clip.split == "train"][:6]
    return train + [clip for clip in mini_clips if clip.split == "dev"][:2]


def test_each_clip_has_two_rows_that_differ_in_their_masks(clips, tiny_recipe):
    alone = batches_of(clips, tiny_recipe, 0.0, augment=True)
    pairs = batches_of(clips, tiny_recipe, 0.2, augment=True)
    for i in range(len(alone)):
        single, targets = alone[i]
        double, double_targets = pairs[i]
        first, second = double["features"][::2], double["features"][1::2]
        np.testing.assert_array_equal(first, single["features"])
        assert first.shape == second.shape
        differs = first != second
        assert differs.any()
        # A mask sets what it hides to 0.
        assert ((first == 0) | (second == 0))[differs].all()
        np.testing.assert_array_equal(double["lengths"], single["lengths"].repeat(2))
        np.testing.assert_array_equal(double_targets["labels"], targets["labels"].repeat(2, 0))


def test_weights_belong_to_both_rows(clips, tiny_recipe):
    light = [dataclasses.replace(clip, weight=0.5) for clip in clips]
    _, targets, weights = batches_of(light, tiny_recipe, 0.2, augment=True)[0]
    assert weights.tolist() == [0.5] * len(targets["label_lengths"])


def test_clips_that_judge_have_one_view(clips, tiny_recipe):
    batches = batches_of(clips, tiny_recipe, 0.2, augment=False)
    assert sum(len(batches[i][0]["lengths"]) for i in range(len(batches))) == 6


def test_the_divergence_is_that_of_the_real_steps():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((4, 5, 3)).astype(np.float32)
    steps = np.array([5, 5, 2, 2], np.int32)
    found = ops.convert_to_numpy(view_divergence(logits, steps))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for row, other in enumerate([1, 0, 3, 2]):
        p = np.exp(log_probs[other, : steps[row]])
        expected = (p * (log_probs[other] - log_probs[row])[: steps[row]]).sum()
        assert found[row] == pytest.approx(expected, rel=1e-4)


def test_equal_views_add_nothing_to_the_loss(clips, tiny_recipe):
    batches = batches_of(clips, tiny_recipe, 0.2, augment=True)
    inputs, targets = batches[0]
    model = DeepSpeech2(tiny_recipe.model, tiny_recipe.features.bins, len(LETTERS))
    logits = ops.convert_to_numpy(model(inputs))
    plain = float(model.compute_loss(inputs, targets, logits))
    model.consistency = 0.2
    different = float(model.compute_loss(inputs, targets, logits))
    divergence = ops.convert_to_numpy(
        view_divergence(logits, model.output_lengths(inputs["lengths"]))
    )
    assert different == pytest.approx(plain + 0.2 * divergence.mean(), rel=1e-5)
    same = logits[::2].repeat(2, 0)
    equal = float(model.compute_loss(inputs, targets, same))
    model.consistency = 0.0
    assert equal == pytest.approx(float(model.compute_loss(inputs, targets, same)), rel=1e-6)
