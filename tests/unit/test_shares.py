"""Manifests that make up stated shares of an epoch."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip
from ds2edge.train.inputs import read_input
from ds2edge.train.pipeline.shares import ClipsOfEpoch, set_uses


def clips_of(name, durations, split="train"):
    return [
        Clip(Path(f"{name}{i}.wav"), "stop", duration, split)
        for i, duration in enumerate(durations)
    ]


REAL, SYNTHETIC = Path("real.jsonl"), Path("synthetic.jsonl")


def test_shares_are_shares_of_the_seconds():
    real = clips_of("real", [2.0, 4.0])
    synthetic = clips_of("synthetic", [1.0] * 30)
    both = set_uses([REAL, SYNTHETIC], [real, synthetic], [0.75, 0.25])
    assert [clip.uses for clip in both[0]] == [1, 1]
    assert sum(clip.uses * clip.duration for clip in both[1]) == pytest.approx(2.0)


def test_clips_that_judge_are_used_once():
    real = clips_of("real", [2.0]) + clips_of("dev", [2.0], "dev")
    parts = set_uses([REAL, SYNTHETIC], [real, clips_of("synthetic", [9.0])], [0.5, 0.5])
    assert [clip.uses for clip in parts[0]] == [1, 1]


def test_each_manifest_needs_a_share_and_speech():
    real = clips_of("real", [2.0])
    with pytest.raises(InputError, match="has 1 numbers for 2 manifests"):
        set_uses([REAL, SYNTHETIC], [real, real], [1.0])
    with pytest.raises(InputError, match=r"synthetic\.jsonl: .* no clip of split train"):
        set_uses([REAL, SYNTHETIC], [real, clips_of("dev", [1.0], "dev")], [0.5, 0.5])


@given(
    st.lists(st.tuples(st.floats(0.3, 20), st.floats(0.05, 5)), min_size=1, max_size=60),
    st.integers(0, 2**32),
)
def test_every_epoch_is_about_the_same(clips, seed):
    durations = np.array([duration for duration, _ in clips])
    uses = np.array([count for _, count in clips])
    epoch = ClipsOfEpoch(durations, uses)
    drawn = epoch.draw(np.random.default_rng(seed))
    assert len(drawn) == len(epoch.upper_bounds) == max(1, int(uses.sum() + 1e-9))
    assert (durations[drawn] <= epoch.upper_bounds).all()
    per_clip = np.bincount(drawn, minlength=len(clips))
    expected = uses * len(drawn) / uses.sum()
    assert (np.abs(per_clip - expected) < 1 + 1e-6).all()


def test_the_shares_come_out_over_many_epochs():
    durations = np.array([5.0, 3.0, 1.0, 1.0])
    uses = np.array([1.0, 0.5, 2.25, 0.25])
    epoch = ClipsOfEpoch(durations, uses)
    counts = sum(
        np.bincount(epoch.draw(np.random.default_rng(i)), minlength=4) for i in range(4000)
    )
    np.testing.assert_allclose(counts / 4000, uses, atol=0.03)


def test_without_shares_an_epoch_is_all_clips_in_order():
    epoch = ClipsOfEpoch(np.array([1.0, 3.0, 2.0]), np.ones(3))
    assert epoch.draw(np.random.default_rng(0)).tolist() == [0, 1, 2]
    assert epoch.upper_bounds.tolist() == [3, 2, 1]


def test_the_recipe_sets_the_shares(tmp_path, tiny_recipe):
    manifests = []
    for name, count in (("real", 4), ("synthetic", 12)):
        path = tmp_path / f"{name}.jsonl"
        rows = [
            {"audio": f"{name}{i}.wav", "text": "stop", "duration": 1.0, "split": "train"}
            for i in range(count)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        manifests.append(path)
    training = dataclasses.replace(tiny_recipe.training, manifest_shares=(0.5, 0.5))
    recipe = dataclasses.replace(tiny_recipe, training=training)
    clips = read_input(recipe, manifests, tmp_path / "run").clips
    assert sorted({clip.uses for clip in clips}) == pytest.approx([1 / 3, 1])


@pytest.mark.parametrize("shares", [(0.5, 0.6), (1.5, -0.5), (1.0, 0.0)])
def test_shares_are_above_0_and_sum_to_1(tiny_recipe, shares):
    with pytest.raises(ValueError, match="above 0 and sum to 1"):
        dataclasses.replace(tiny_recipe.training, manifest_shares=shares)
