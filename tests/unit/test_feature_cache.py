"""Features computed once: what is kept is what would be computed, and only then."""

import dataclasses
import os
import subprocess

import joblib
import numpy as np
import pytest
from support import babble

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.train.data.manifest import Clip
from ds2edge.train.pipeline import feature_cache
from ds2edge.train.pipeline.dataset import compute_features, survey
from ds2edge.train.pipeline.feature_cache import Drawn, FeatureCache, padding_of
from ds2edge.train.recipe import Augmentation


@pytest.fixture
def reads(monkeypatch):
    """Counts the sound files that are read."""
    read, paths = feature_cache.read_audio, []

    def counting(path, rate):
        paths.append(str(path))
        return read(path, rate)

    monkeypatch.setattr(feature_cache, "read_audio", counting)
    return paths


def test_levels_are_those_of_the_front_end_to_a_sixteenth_of_a_decibel(tiny_recipe, wav, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    expected = Features(tiny_recipe.features).padded(
        babble(1.0), padding_of(tiny_recipe.model)
    )
    for _ in range(2):
        levels = cache.levels(wav("a.wav", subtype="FLOAT"))
        assert levels.dtype == np.float32
        np.testing.assert_allclose(levels, expected, atol=1 / 16)


def test_a_second_run_reads_nothing(tiny_recipe, wav, tmp_path, reads):
    path = wav("a.wav")
    found = [
        (
            FeatureCache(tmp_path / "cache", tiny_recipe).levels(path),
            FeatureCache(tmp_path / "cache", tiny_recipe).statistics(path).sums,
        )
        for _ in range(2)
    ]
    assert len(reads) == 2
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def workers() -> list[str]:
    """joblib's worker processes that this one has."""
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if "popen_loky" in line]


def test_workers_do_not_stay_for_the_training(tiny_recipe, wav, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    clips = [Clip(wav(f"{split}.wav"), "yes", 1.0, split) for split in ("train", "dev")]
    found = survey(clips, tiny_recipe, cache)
    assert workers() or joblib.cpu_count() == 1
    compute_features(found, tiny_recipe, cache)
    assert not workers()
    compute_features(found, tiny_recipe, cache)  # a second training in the process starts its own


def test_other_settings_another_file_or_another_draw_are_computed_anew(
    tiny_recipe, wav, tmp_path, reads
):
    path = wav("a.wav")
    FeatureCache(tmp_path / "cache", tiny_recipe).levels(path)
    mel = dataclasses.replace(
        tiny_recipe, features=dataclasses.replace(tiny_recipe.features, mel_bands=40)
    )
    assert FeatureCache(tmp_path / "cache", mel).levels(path).shape[1] == 40
    wav("a.wav", seconds=1.1)
    assert len(FeatureCache(tmp_path / "cache", tiny_recipe).levels(path)) > 110
    os.utime(path, ns=(1, 1))
    FeatureCache(tmp_path / "cache", tiny_recipe).levels(path)
    for seed in (1, 2):
        FeatureCache(tmp_path / "cache", tiny_recipe).levels(path, Drawn(Augmentation(), (seed,)))
    assert len(reads) == 6


def test_without_a_folder_nothing_is_kept(tiny_recipe, wav, reads):
    cache = FeatureCache(None, tiny_recipe)
    cache.levels(wav("a.wav"))
    cache.levels(wav("a.wav"))
    assert len(reads) == 2


def test_a_draw_repeats_itself_and_differs_from_others(tiny_recipe, wav):
    cache = FeatureCache(None, tiny_recipe)
    one, again, other = (
        cache.levels(wav("a.wav"), Drawn(Augmentation(), (seed,))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_what_was_cut_short_is_computed_anew(tiny_recipe, wav, tmp_path, reads, caplog):
    """As a run that was killed, or a full disk, may leave it."""
    path, cache = wav("a.wav"), FeatureCache(tmp_path / "cache", tiny_recipe)
    expected = cache.levels(path)
    for file in (tmp_path / "cache").rglob("output.pkl"):
        file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(cache.levels(path), expected)
    assert len(reads) == 2
    assert not caplog.records  # joblib would show a traceback


def test_a_clip_that_cannot_be_read_is_named_each_time(tiny_recipe, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    for _ in range(2):
        with pytest.raises(InputError, match=r"gone\.wav: no such file"):
            cache.levels(tmp_path / "gone.wav")
