"""How a batch is shared among devices. tests/slow/test_distribution.py trains on several."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.train.data.manifest import Clip
from ds2edge.train.distribution import ALONE, Group, join_group
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.pipeline.dataset import scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.recipe import Augmentation, TrainingSettings


@pytest.fixture(scope="module")
def make_batches(tmp_path_factory, tiny_recipe):
    """Makes batches of 3 and 2 clips of five, as one process of a group gets them."""
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for i in range(6):
        seconds = 1.0 + 0.1 * i
        soundfile.write(folder / f"{i}.wav", babble(seconds, seed=i), RATE)
        clips.append(
            Clip(folder / f"{i}.wav", f"text {'abcdef'[i]}", seconds, "train" if i < 5 else "dev")
        )
    recipe = dataclasses.replace(
        tiny_recipe,
        augmentation=Augmentation(leading_silence=(0.3, 0.5), trailing_silence=(0.7, 0.8)),
        training=TrainingSettings(batch_size=3),
    )
    cache = FeatureCache(None, recipe)
    found = scan_dataset(clips, recipe, cache)
    features = Features(recipe.features, found.mean, found.std)

    def make(group: Group) -> Batches:
        return Batches(found.examples["train"], recipe, features, cache, augment=True, group=group)

    return make


def test_every_row_is_in_one_share_and_the_shares_are_equal():
    for devices, processes in ((1, 1), (4, 1), (4, 2), (6, 3)):
        for rows in range(1, 10):
            shares = [
                Group(devices, processes, process).share(rows) for process in range(processes)
            ]
            joined = [row for share in shares for row in share]
            assert joined == list(range(len(joined)))
            assert rows <= len(joined) < rows + devices
            assert {len(share) % (devices // processes) for share in shares} == {0}


def test_the_shares_of_two_processes_put_together_are_the_batch(make_batches):
    whole, parts = make_batches(ALONE), [make_batches(Group(2, 2, process)) for process in (0, 1)]
    for index in range(2):
        inputs, targets = whole[index]
        shares = [part[index] for part in parts]
        joined = {key: np.concatenate([share[0][key] for share in shares]) for key in inputs}
        labels = {key: np.concatenate([share[1][key] for share in shares]) for key in targets}
        rows, frames = inputs["features"].shape[:2]
        np.testing.assert_array_equal(joined["lengths"][:rows], inputs["lengths"])
        longest = inputs["lengths"].max()
        np.testing.assert_array_equal(
            joined["features"][:rows, :longest], inputs["features"][:, :longest]
        )
        assert not joined["features"][:, longest:].any()  # shares are padded to an upper bound
        assert joined["features"].shape[1] >= frames
        for key in targets:
            np.testing.assert_array_equal(labels[key][:rows], targets[key])
            assert not labels[key][rows:].any()
        assert not joined["lengths"][rows:].any()


def test_empty_rows_have_no_weight_and_the_others_make_up_for_them(make_batches):
    (_, _, full), (_, _, filled) = (make_batches(Group(2, 1, 0))[index] for index in (1, 0))
    assert full.tolist() == [1, 1]
    assert filled.tolist() == pytest.approx([4 / 3, 4 / 3, 4 / 3, 0])


def test_the_weight_of_a_clip_is_a_factor_of_its_row(make_batches):
    plain, weighted = (make_batches(Group(2, 1, 0)) for _ in range(2))
    weighted.weights = np.linspace(0.2, 1, 5)
    for index in (0, 1):
        expected = plain[index][2].copy()
        chosen = weighted.order[index]
        expected[: len(chosen)] *= weighted.weights[chosen]
        assert weighted[index][2].tolist() == pytest.approx(expected.tolist())


def test_a_clip_that_is_longer_than_its_manifest_says_is_named(make_batches):
    batches = make_batches(Group(2, 2, 0))
    batches.durations = batches.durations / 3
    with pytest.raises(
        InputError, match=r"\.wav: is longer than the 1\.[0-4] s that the manifest says"
    ):
        batches[0]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="refuses what tensorflow cannot do"
)
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "KERAS_DISTRIBUTION_NUM_PROCESSES",
            "2",
            "PROCESSES is 2: .* under jax only: set KERAS_BACKEND=jax",
        ),
        (
            "TF_CONFIG",
            json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
            "names 2 workers: .* under jax only",
        ),
        ("TF_CONFIG", "{", "TF_CONFIG .* unset it"),
    ],
)
def test_processes_that_keras_cannot_join_are_refused(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=message):
        join_group(TrainingSettings())
