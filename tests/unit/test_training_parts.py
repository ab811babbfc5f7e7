"""What goes into a training: scanning clips, batches, joined clips, recipes; and scoring."""

import dataclasses
import json
import logging
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.train.data.join import join_clips
from ds2edge.train.data.limits import ClipLimits, without_long
from ds2edge.train.data.manifest import Clip, read_manifest, write_manifest
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.evaluation.scoring import bootstrap_interval, score
from ds2edge.train.lock import alone_in
from ds2edge.train.pipeline.batches import Batches, batch_sizes
from ds2edge.train.pipeline.dataset import scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.pipeline.padding import batch_length, padded_frames
from ds2edge.train.recipe import read_recipe
from ds2edge.train.resuming import require_same


@pytest.fixture
def clips(tmp_path):
    """Twelve clips of babble of different lengths: ten of split train and two of split dev."""
    made = []
    for i in range(12):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, babble(0.6 + 0.1 * i, seed=i), RATE)
        made.append(
            Clip(
                path, f"word {'abcdefghijkl'[i]}", 0.6 + 0.1 * i, "train" if i < 10 else "dev", "x"
            )
        )
    return made


def test_scanning_measures_the_training_split(clips, tiny_recipe):
    dataset = scan_dataset(clips, tiny_recipe, FeatureCache(None, tiny_recipe))
    assert {split: len(examples) for split, examples in dataset.examples.items()} == {
        "train": 10,
        "dev": 2,
        "test": 0,
    }
    features = Features(tiny_recipe.features)
    levels = np.concatenate(
        [features(soundfile.read(c.audio, dtype="float32")[0]) for c in clips[:10]]
    )
    np.testing.assert_allclose(dataset.mean, levels.mean(0), atol=0.01)
    np.testing.assert_allclose(dataset.std, np.maximum(levels.std(0), 8), atol=0.01)


def test_an_unusable_clip_is_named_and_counted(clips, tiny_recipe, caplog, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    many = clips[:10] * 20 + clips[10:]
    with caplog.at_level(logging.WARNING, "ds2edge"):
        dataset = scan_dataset(
            [*many, dataclasses.replace(clips[0], audio=bad)],
            tiny_recipe,
            FeatureCache(None, tiny_recipe),
        )
    assert len(dataset.examples["train"]) == 200
    assert str(bad) in caplog.text
    assert "skipped 1 of 203 clips" in caplog.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"audio": "none.wav"}, "none.wav: no such file"),
        ({"text": "!?"}, "no letter is left"),
    ],
)
def test_more_than_one_unusable_clip_in_a_hundred_is_refused(clips, tiny_recipe, change, says):
    bad = dataclasses.replace(clips[0], **change)
    with pytest.raises(InputError, match=f"3 of 203 clips cannot be used, more than 1 %.*{says}"):
        scan_dataset(
            [*[bad] * 3, *clips[:10] * 19, *clips[2:]], tiny_recipe, FeatureCache(None, tiny_recipe)
        )


def test_in_a_small_set_every_bad_clip_is_named_and_skipped(clips, tiny_recipe, caplog):
    bad = [
        dataclasses.replace(clips[0], text="...", audio=clips[0].audio.with_name(f"bad{n}.wav"))
        for n in range(7)
    ]
    with caplog.at_level(logging.WARNING, "ds2edge"):
        dataset = scan_dataset([*bad, *clips], tiny_recipe, FeatureCache(None, tiny_recipe))
    assert len(dataset.examples["train"]) == 10
    assert all(f"bad{n}.wav" in caplog.text for n in range(7))


def test_a_clip_that_is_too_long_is_named_and_left_out(clips, caplog):
    long = dataclasses.replace(clips[0], duration=600.0)
    with caplog.at_level(logging.WARNING, "ds2edge"):
        assert without_long([*clips, long], 30.0) == clips
    assert f"left out: {long.audio}: 600 s" in caplog.text
    assert (
        f"left out 1 of {len(clips) + 1} clips of more than 30 s: cut them, or raise --max-seconds"
        in caplog.text
    )


def test_skip_bad_allows_any_number_of_unusable_clips(clips, tiny_recipe, tmp_path):
    bad = dataclasses.replace(clips[0], audio=tmp_path / "none.wav")
    dataset = scan_dataset(
        [*[bad] * 200, *clips],
        tiny_recipe,
        FeatureCache(None, tiny_recipe),
        limits=ClipLimits(skip_bad=True),
    )
    assert len(dataset.examples["train"]) == 10


def test_a_clip_that_is_longer_than_its_manifest_says_is_left_out(
    clips, tiny_recipe, tmp_path, caplog
):
    soundfile.write(tmp_path / "long.wav", np.resize(babble(1.0), 40 * 16000), 16000)
    long = dataclasses.replace(clips[0], audio=tmp_path / "long.wav")
    limits = ClipLimits(max_seconds=30.0)
    dataset = scan_dataset(
        [long, *clips], tiny_recipe, FeatureCache(None, tiny_recipe), limits=limits
    )
    assert len(dataset.examples["train"]) == 10
    assert f"lasts 40.0 s, the manifest says {long.duration:g} s: cut it" in caplog.text


def test_a_folder_has_one_training_at_a_time(tmp_path):
    with (
        alone_in(tmp_path / "run"),
        alone_in(tmp_path / "other"),
        pytest.raises(InputError, match="another command is using this folder"),
        alone_in(tmp_path / "run"),
    ):
        pass
    with alone_in(tmp_path / "run"):
        assert not list(tmp_path.iterdir())


def test_a_setting_that_differs_from_the_run_is_named_with_a_remedy(tiny_recipe):
    require_same(Path("run"), tiny_recipe, tiny_recipe)
    with pytest.raises(
        InputError, match=r"epochs is 2 there and 5 here.* -o NEW --init-from run --epochs 3"
    ):
        require_same(Path("run"), tiny_recipe, tiny_recipe.with_training(epochs=5))


def test_a_cache_that_cannot_be_written_is_only_a_warning(tiny_recipe, caplog):
    FeatureCache(Path("/proc/none"), tiny_recipe)
    assert "/proc/none: cannot be written" in caplog.text


def test_clips_too_short_for_their_text_are_named_and_skipped(clips, tiny_recipe, caplog):
    long = [dataclasses.replace(clip, text="far too many letters " * 20) for clip in clips]
    with caplog.at_level(logging.WARNING, "ds2edge"):
        dataset = scan_dataset(
            [*long[:8], *clips[8:]], tiny_recipe, FeatureCache(None, tiny_recipe)
        )
    assert len(dataset.examples["train"]) == 2
    assert "0.wav: its text needs 4" in caplog.text
    assert len(caplog.messages) == 9  # eight clips and their number
    assert "skipped 8 of 12 clips, 8 of them because their audio is too short" in caplog.text
    with pytest.raises(
        InputError,
        match=r"'train' to train on \(12 are too short for their text.*0.wav: its text needs 4",
    ):
        scan_dataset(long, tiny_recipe, FeatureCache(None, tiny_recipe))


def test_pieces_need_fewer_steps_than_letters(clips, tiny_recipe, mini_clips):
    pieces = Symbols.learn([clip.text for clip in mini_clips], 50)
    text = "turn on the light " * 2
    short = [dataclasses.replace(clip, text=text) for clip in clips]
    cache = FeatureCache(None, tiny_recipe)
    spelled = scan_dataset(short, tiny_recipe, cache, Symbols()).examples
    whole = scan_dataset(short, tiny_recipe, cache, pieces).examples
    assert len(spelled["train"]) < len(whole["train"]) == 10
    assert whole["dev"][0].labels == pieces.encode(text.strip())


def test_splits_train_and_dev_must_have_clips(clips, tiny_recipe):
    with pytest.raises(InputError, match="'dev' to choose the best epoch by"):
        scan_dataset(clips[:10], tiny_recipe, FeatureCache(None, tiny_recipe))
    with pytest.raises(InputError, match="'train' to train on"):
        scan_dataset(clips[10:], tiny_recipe, FeatureCache(None, tiny_recipe))


def make_batches(clips, recipe, **options):
    cache = FeatureCache(None, recipe)
    dataset = scan_dataset(clips, recipe, cache)
    return Batches(
        dataset.examples["train"],
        recipe,
        Features(recipe.features, dataset.mean, dataset.std),
        cache,
        **options,
    )


def test_clips_of_weight_0_are_left_out(clips, tiny_recipe):
    light = [dataclasses.replace(clips[0], weight=0.0), dataclasses.replace(clips[1], weight=0.5)]
    dataset = scan_dataset([*light, *clips[2:]], tiny_recipe, FeatureCache(None, tiny_recipe))
    assert [example.clip.weight for example in dataset.examples["train"]] == [0.5, *[1.0] * 8]


def test_rows_of_a_batch_have_the_weights_of_their_clips(clips, tiny_recipe):
    assert {len(batch) for batch in make_batches(clips, tiny_recipe, augment=True)} == {2}
    heard = [dataclasses.replace(clip, weight=0.1 * (i + 1)) for i, clip in enumerate(clips)]
    batches = make_batches(heard, tiny_recipe, augment=True)
    found = {}
    for i in range(len(batches)):
        _, _, weights = batches[i]
        assert weights.dtype == np.float32
        found |= dict(zip(batches.texts(i), weights.tolist(), strict=True))
    assert found == {clip.text: pytest.approx(clip.weight) for clip in heard[:10]}
    assert {len(batch) for batch in make_batches(heard, tiny_recipe, augment=False)} == {2}


def test_half_the_weight_gives_half_the_loss(clips, tiny_recipe):
    from ds2edge.train.data.text import LETTERS
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

    batches = make_batches(
        [dataclasses.replace(c, weight=0.5) for c in clips], tiny_recipe, augment=True
    )
    model = DeepSpeech2(tiny_recipe.model, tiny_recipe.features.bins, len(LETTERS))
    inputs, targets, weights = batches[0]
    said = model(inputs)
    whole, half = (float(model.compute_loss(inputs, targets, said, w)) for w in (None, weights))
    assert half == pytest.approx(whole / 2, rel=1e-5)


def test_batches_hold_every_clip_once_in_order_of_length(clips, tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, training=dataclasses.replace(tiny_recipe.training, batch_size=3)
    )
    batches = make_batches(clips, recipe, augment=True)
    assert len(batches) == 4
    texts = [text for i in range(len(batches)) for text in batches.texts(i)]
    assert sorted(texts) == sorted(clip.text for clip in clips[:10])
    for i in range(len(batches)):
        inputs, targets = batches[i]
        assert inputs["features"].shape[1] % (16 * recipe.model.time_stride) == 0
        assert (inputs["lengths"] % recipe.model.time_stride == 0).all()
        for frames, length in zip(inputs["features"], inputs["lengths"], strict=True):
            assert not frames[length:].any()
        assert targets["label_lengths"].tolist() == [len(text) for text in batches.texts(i)]
    assert (
        batches[0][0]["lengths"].max() > batches[1][0]["lengths"].max()
    )  # longest first, shortest second


def test_an_epoch_depends_only_on_its_number_and_the_seed(clips, tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, training=dataclasses.replace(tiny_recipe.training, batch_size=3)
    )
    straight, resumed = (make_batches(clips, recipe, augment=True) for _ in range(2))
    resumed.begin(1)
    first = [straight[i][0]["features"] for i in range(len(straight))]
    straight.begin(1)
    for i in range(len(straight)):
        np.testing.assert_array_equal(straight[i][0]["features"], resumed[i][0]["features"])
        assert straight.texts(i) == resumed.texts(i)
    assert any(
        a.shape != b[0]["features"].shape or (a != b[0]["features"]).any()
        for a, b in zip(first, straight, strict=False)
    )


def test_scores_agree_with_jiwer_over_the_whole_set():
    said = ["turn on the light", "stop", "one two three"]
    heard = ["turn off light", "", "one two two three"]
    result = score(said, heard)
    assert result.wer == pytest.approx(100 * jiwer.wer(said, heard))
    assert result.cer == pytest.approx(100 * jiwer.cer(said, heard))
    assert result.word_errors.tolist() == [2, 1, 1]
    low, high = result.wer_interval()
    assert low < result.wer < high


def test_the_interval_narrows_with_more_clips_and_is_a_point_for_equal_clips():
    errors = np.array([0, 1, 0, 2])
    words = np.array([4, 4, 4, 4])
    few = bootstrap_interval(errors, words)
    many = bootstrap_interval(np.tile(errors, 50), np.tile(words, 50))
    assert many[1] - many[0] < few[1] - few[0]
    assert bootstrap_interval(np.ones(9, int), np.full(9, 4)) == (25.0, 25.0)


def test_joined_clips_keep_splits_and_speakers_apart(tmp_path):
    clips = []
    for speaker in "ab":
        for split in ("train", "test"):
            for i, word in enumerate(
                ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
            ):
                path = tmp_path / f"{speaker}{split}{i}.wav"
                soundfile.write(path, babble(0.2, seed=i), RATE)
                clips.append(Clip(path, f"{word} {speaker} {split}", 0.2, split, speaker))
    write_manifest(tmp_path / "m.jsonl", clips)
    join_clips(
        tmp_path / "m.jsonl", tmp_path / "out", uses=2, lengths=(2, 4), dev_share=0.3, seed=1
    )
    joined = read_manifest(tmp_path / "out" / "manifest.jsonl")
    words = {split: [] for split in ("train", "dev", "test")}
    for clip in joined:
        assert f" {clip.speaker} " in clip.text
        assert soundfile.info(clip.audio).duration == pytest.approx(clip.duration, abs=0.001)
        words[clip.split] += [
            (clip.speaker, word)
            for word in clip.text.split()
            if len(word) > 2 and word not in ("train", "test")
        ]
    assert len(words["test"]) == 40
    assert (len(set(words["train"])), len(set(words["dev"]))) == (14, 6)
    assert not set(words["train"]) & set(words["dev"])
    with pytest.raises(InputError, match="--words 5 2"):
        join_clips(
            tmp_path / "m.jsonl", tmp_path / "x", uses=1, lengths=(5, 2), dev_share=0, seed=1
        )


@pytest.mark.parametrize(
    "name",
    [
        *("mini", "digits", "edge", "english", "voice", "ljspeech", "deepspeech2-bidirectional"),
        *("conformer", "mini-conformer"),
    ],
)
def test_the_shipped_recipes_can_be_read(name):
    assert read_recipe(name).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not TOML"),
        ('name = "x"', "'model' is missing"),
        ('name = "x"\n[model]\nconvolutions = []', "needs a convolution"),
        ('name = "x"\n[model]\nwidht = 3\nconvolutions = []', "unknown setting 'widht'"),
        (
            'name = "x"\n[model]\ncell = "tanh"\n'
            "convolutions = [{channels=1, kernel=[3,3], stride=[1,1]}]",
            "cell 'tanh'",
        ),
        (
            'name = "x"\n[model]\nconvolutions = [{channels=1, kernel=[1,3], stride=[2,1]}]',
            "skips frames",
        ),
        (
            'name = "x"\n[model]\nconvolutions = [{channels=1, kernel=[3], stride=[1,1]}]',
            "expected 2 values",
        ),
        ('name = "x"\n[model]\nwidth = "9"\nconvolutions = []', "width: expected int, got '9'"),
    ],
)
def test_a_faulty_recipe_is_refused_with_its_file(tmp_path, text, says):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_an_unknown_recipe_is_refused_with_a_list_of_the_known_ones():
    with pytest.raises(
        InputError,
        match=r"conformer, deepspeech2-bidirectional, digits, .*, mini, voice",
    ):
        read_recipe("nonsense")


def test_epochs_and_batch_size_can_be_changed():
    recipe = read_recipe("mini").with_training(3, None)
    assert (recipe.training.epochs, recipe.training.batch_size) == (
        3,
        read_recipe("mini").training.batch_size,
    )


def test_quantization_aware_training_has_a_lower_learning_rate():
    recipe = read_recipe("english")
    rounded = recipe.with_training(qat=True).training
    assert recipe.training.sorted_first_epoch
    assert not rounded.sorted_first_epoch
    assert rounded.learning_rate == recipe.training.learning_rate / 10
    assert recipe.with_training(qat=True, learning_rate=1e-5).training.learning_rate == 1e-5


def test_the_mini_corpus_matches_its_readme(mini_clips):
    speakers = {
        split: {c.speaker for c in mini_clips if c.split == split}
        for split in ("train", "dev", "test")
    }
    texts = {
        split: {c.text for c in mini_clips if c.split == split}
        for split in ("train", "dev", "test")
    }
    assert len(mini_clips) >= 400
    assert len(speakers["train"]) >= 8
    assert len(speakers["test"] - speakers["train"] - speakers["dev"]) == 2
    assert len(texts["test"] - texts["train"]) >= 10
    assert {w for t in texts["test"] for w in t.split()} <= {
        w for t in texts["train"] for w in t.split()
    }
    folder = mini_clips[0].audio.parent.parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 3_000_000
    for clip in mini_clips:
        assert soundfile.info(clip.audio).duration == pytest.approx(clip.duration, abs=0.01)
        assert json.dumps(clip.text).strip('"') == clip.text


def test_an_epoch_uses_clips_as_often_as_their_shares_ask(clips, tiny_recipe):
    often = [dataclasses.replace(clip, uses=1.5) for clip in clips[:6]]
    seldom = [dataclasses.replace(clip, uses=0.5) for clip in clips[6:10]]
    batches = make_batches([*often, *seldom, *clips[10:]], tiny_recipe, augment=True)
    epochs = []
    for epoch in range(2):
        batches.begin(epoch)
        epochs.append(sorted(text for i in range(len(batches)) for text in batches.texts(i)))
        assert sum(len(batches[i][1]["label_lengths"]) for i in range(len(batches))) == 11
    assert epochs[0] != epochs[1]
    assert [len(texts) for texts in epochs] == [11, 11]


def test_clips_of_about_the_same_length_are_in_batches_of_one_size(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe,
        training=dataclasses.replace(tiny_recipe.training, batch_seconds=60.0),
        augmentation=dataclasses.replace(tiny_recipe.augmentation, leading_silence=(0.0, 0.0)),
    )
    durations = np.random.default_rng(1).uniform(0.5, 12, 2000)
    sizes = batch_sizes(durations, recipe)
    assert sum(sizes) == len(durations)
    stride = recipe.model.time_stride
    ranked = np.sort(durations)[::-1]
    shapes = set()
    for size, first in zip(sizes, np.cumsum([0, *sizes]), strict=False):
        frames = batch_length(padded_frames(ranked[first], recipe), stride)
        shapes.add((size, frames))
        seconds = frames * recipe.features.hop / recipe.features.sample_rate
        assert size * seconds <= 60.0 or size == 1
    assert len(shapes) <= len({frames for _, frames in shapes}) + 1  # and the last batch
