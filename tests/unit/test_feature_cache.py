"""The cache of features: it returns what would be computed, and only while that is still true."""

import dataclasses
import errno
import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
import soundfile
from support import babble

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.train.data.manifest import Clip
from ds2edge.train.pipeline import feature_cache
from ds2edge.train.pipeline.dataset import compute_features, scan_dataset
from ds2edge.train.pipeline.feature_cache import AugmentedVersion, FeatureCache
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.recipe import Augmentation, read_recipe


@pytest.fixture
def reads(monkeypatch):
    """Lists the sound files that are read."""
    read = feature_cache.read_audio
    paths = []

    def counting(path, rate):
        paths.append(str(path))
        return read(path, rate)

    monkeypatch.setattr(feature_cache, "read_audio", counting)
    return paths


def test_levels_are_those_of_the_features_to_a_sixteenth_of_a_decibel(tiny_recipe, wav, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    padding = padding_of(tiny_recipe.model)
    expected = Features(tiny_recipe.features).padded(babble(1.0), padding)
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
    """Command lines of joblib's worker processes of this process."""
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if "popen_loky" in line]


def test_workers_end_before_the_training(tiny_recipe, wav, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    clips = [Clip(wav(f"{split}.wav"), "yes", 1.0, split) for split in ("train", "dev")]
    found = scan_dataset(clips, tiny_recipe, cache)
    assert workers() or joblib.cpu_count() == 1
    compute_features(found, tiny_recipe, cache)
    assert not workers()
    compute_features(found, tiny_recipe, cache)  # a second training starts workers again


def test_other_settings_files_and_seeds_are_computed_anew(tiny_recipe, wav, tmp_path, reads):
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
        FeatureCache(tmp_path / "cache", tiny_recipe).levels(
            path, AugmentedVersion(Augmentation(), (seed,))
        )
    assert len(reads) == 6


def test_without_a_folder_nothing_is_cached(tiny_recipe, wav, reads):
    cache = FeatureCache(None, tiny_recipe)
    cache.levels(wav("a.wav"))
    cache.levels(wav("a.wav"))
    assert len(reads) == 2


def test_the_same_seed_gives_the_same_levels_and_another_seed_others(tiny_recipe, wav):
    cache = FeatureCache(None, tiny_recipe)
    one, again, other = (
        cache.levels(wav("a.wav"), AugmentedVersion(Augmentation(), (seed,))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_truncated_entries_are_computed_anew(tiny_recipe, wav, tmp_path, reads, caplog):
    """A killed run or a full disk may leave such entries."""
    path = wav("a.wav")
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    expected = cache.levels(path)
    for size in (0, 50, 1000):
        for file in (tmp_path / "cache").rglob("*.npy"):
            file.write_bytes(file.read_bytes()[:size])
        np.testing.assert_array_equal(cache.levels(path), expected)
    assert len(reads) == 4
    assert not caplog.records
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_on_a_full_disk_features_are_computed_each_time(
    tiny_recipe, wav, tmp_path, reads, caplog, monkeypatch
):
    path = wav("a.wav")
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(feature_cache.np, "save", full)
    np.testing.assert_array_equal(cache.levels(path), cache.levels(path))
    assert len(reads) == 2
    assert not caplog.records
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []


def test_a_clip_that_cannot_be_read_is_named_each_time(tiny_recipe, tmp_path):
    cache = FeatureCache(tmp_path / "cache", tiny_recipe)
    for _ in range(2):
        with pytest.raises(InputError, match=r"gone\.wav: no such file"):
            cache.levels(tmp_path / "gone.wav")


EVERYTHING = Augmentation(
    speed_probability=1,
    room_probability=1,
    noise_probability=1,
    codec_probability=1,
    gain_probability=1,
)
# Fingerprints of version 1 of the features, for the test below.
RECORDED = {
    "linear": [-31.662, -11.352, 120.788, -24.712, 5.512, -50.025, -4.388, -40.147],
    "mel and level": [-6.32, -72.539, -4.012, -20.973, -4.352, 43.253, -50.856, -102.045],
    "augmented": [-19.428, 1.641, 131.349, -59.145, -32.394, -39.272, -9.904, -29.726],
}


def fingerprint(frames: np.ndarray) -> list[float]:
    """Eight numbers in dB that depend on all frames, but hardly on the rounding of a platform."""
    directions = np.random.default_rng(0).standard_normal((8, *frames.shape))
    return ((directions * frames).sum((1, 2)) / np.sqrt(frames.size)).round(3).tolist()


@pytest.mark.parametrize(
    ("name", "changes", "version"),
    [
        ("linear", {}, None),
        ("mel and level", {"mel_bands": 40, "level_rise": 0.1}, None),
        ("augmented", {}, AugmentedVersion(EVERYTHING, (1, 2, 3))),
    ],
)
def test_the_features_of_this_version_are_the_recorded_ones(tmp_path, name, changes, version):
    """If this fails, the caches of users hold other features than this code computes.

    Raise VERSION in train/pipeline/feature_cache.py and record the new numbers here, as those of
    that version.
    """
    assert feature_cache.VERSION == 1
    left = babble(1.5, 44100)
    right = babble(1.5, 44100, seed=1)
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0.5 * right], 1), 44100)
    recipe = dataclasses.replace(read_recipe("mini"), features=FeatureSettings(**changes))
    levels = FeatureCache(None, recipe).levels(tmp_path / "a.wav", version)
    assert fingerprint(levels) == pytest.approx(RECORDED[name], abs=0.02)


def test_another_version_of_the_features_is_not_read(
    tiny_recipe, wav, tmp_path, reads, monkeypatch
):
    path = wav("a.wav")
    FeatureCache(tmp_path / "cache", tiny_recipe).levels(path)
    monkeypatch.setattr(feature_cache, "VERSION", feature_cache.VERSION + 1)
    FeatureCache(tmp_path / "cache", tiny_recipe).levels(path)
    assert len(reads) == 2


def test_importing_the_pipeline_changes_no_warnings_or_loggers():
    code = """
import logging, warnings
import joblib
before = list(warnings.filters), logging.getLogger("joblib").level
from ds2edge.train.pipeline import dataset
added = [f for f in warnings.filters if f not in before[0]]
assert not [f for f in added if f[2].__module__.startswith("joblib")], added
assert logging.getLogger("joblib").level == before[1]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
