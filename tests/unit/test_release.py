"""The pieces of `make release-model`: recordings, cached logits, stages and the model card."""

import dataclasses
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support import GOLDEN, MINI, RATE, SPOKEN, babble

from ds2edge.runtime import Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.decoding.build import build_decoder
from ds2edge.runtime.decoding.fusion import Weights
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.pretrained.release import (
    card,
    fusion_weights,
    logits,
    making,
    recordings,
    stages,
)
from ds2edge.train.pretrained.release.__main__ import main
from ds2edge.train.pretrained.release.accuracy import CachedModel, wrong_first_words
from ds2edge.train.pretrained.release.logits import LogitCache
from ds2edge.train.pretrained.release.recordings import ClipSet, Condition
from ds2edge.train.pretrained.release.release import ARMV7, INT8, Release
from ds2edge.train.run import PRETRAINED, Run

CLIPS = ClipSet("said", tuple(Clip(path, text, 1.0, "dev") for text, path in SPOKEN.items()))


@pytest.fixture
def release(tmp_path):
    return Release(
        run=PRETRAINED,
        speech=MINI,
        data=tmp_path / "data",
        work=tmp_path / "work",
        noise=None,
        tests=(),
        every=1,
        commands=None,
        wake=None,
        shipped=tmp_path / "shipped",
    )


# Recordings


def write_corpus(folder: Path, names: list[str], split: str, text: str = "one") -> None:
    (folder / "audio").mkdir(parents=True)
    lines = []
    for name in names:
        soundfile.write(folder / "audio" / name, babble(0.4), RATE)
        row = {"audio": f"audio/{name}", "duration": 0.4, "text": text, "split": split}
        lines.append(json.dumps(row) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))


def test_the_halves_of_a_corpus_have_no_clip_in_common(tmp_path):
    names = [f"{number}.wav" for number in range(20)]
    write_corpus(tmp_path / recordings.HALVED, names, "dev")
    held_out = recordings.held_out_set("commonvoice", tmp_path)
    tested = {clip.audio.name for clip in held_out.clips}
    chosen = {name for name in names if recordings.in_dev_half(Path(name))}
    assert tested
    assert chosen
    assert tested == set(names) - chosen


def test_single_words_are_of_all_splits_or_of_test(tmp_path):
    write_corpus(tmp_path / "speech_commands_350", ["a.wav"], "train", "Yes")
    write_corpus(tmp_path / "fsdd", ["a.wav"], "train", "7")
    assert recordings.held_out_set("commands", tmp_path).vocabulary == ["yes"]
    with pytest.raises(InputError, match="no clip of split test"):
        recordings.held_out_set("digits", tmp_path)


def test_a_manifest_without_a_dev_set_is_refused():
    with pytest.raises(InputError, match="no dev clip of librispeech_heldout4"):
        recordings.dev_sets(MINI)


def test_conditions():
    samples = babble(1.0)
    unchanged, rate = recordings.AS_RECORDED.apply(samples, RATE, "a")
    assert rate == RATE
    assert np.array_equal(unchanged, samples)
    quiet, _ = Condition("", gain_db=-20).apply(samples, RATE, "a")
    assert quiet.dtype == np.int16
    assert np.abs(quiet / 32768 - samples / 10).max() <= 1 / 65536
    loud, _ = Condition("", gain_db=30).apply(samples, RATE, "a")
    assert (loud.min(), loud.max()) == (-32768, 32767)
    resampled, rate = Condition("", rate=8000).apply(samples, RATE, "a")
    assert (len(resampled), rate) == (8000, 8000)
    noisy, _ = Condition("", snr_db=10).apply(samples, RATE, "a")
    power = np.mean((noisy - samples) ** 2) / np.mean(samples**2)
    assert power == pytest.approx(0.1, rel=0.01)
    again, _ = Condition("", snr_db=10).apply(samples, RATE, "a")
    other, _ = Condition("", snr_db=10).apply(samples, RATE, "b")
    assert np.array_equal(noisy, again)
    assert not np.array_equal(noisy, other)


# Cached logits


@pytest.mark.parametrize(
    "decoder",
    [
        {},
        {"hotwords": ["radio", "close the window"]},
        {"phrases": Phrases.of(*SPOKEN, "open the door")},
    ],
    ids=["greedy", "hotwords", "phrases"],
)
def test_texts_from_the_cache_are_those_of_the_recogniser(tmp_path, decoder):
    model = CachedModel(GOLDEN, LogitCache(tmp_path))
    factory = decoder.get("phrases") or build_decoder(**decoder)
    model.decoders = {"tested": factory}
    recognizer = Recognizer(GOLDEN, **decoder)
    expected = [recognizer.transcribe(clip.audio).text for clip in CLIPS.clips]
    assert model.texts(CLIPS, "tested") == expected
    assert any(expected)


def test_logits_are_computed_once_for_each_model_condition_and_clip(tmp_path, monkeypatch):
    cache = LogitCache(tmp_path / "logits")
    first = list(cache.read(GOLDEN, CLIPS.clips[:2]))
    quiet = list(cache.read(GOLDEN, CLIPS.clips[:1], Condition("", gain_db=-10)))
    assert not np.array_equal(quiet[0].logits, first[0].logits)
    copy = Path(shutil.copyfile(GOLDEN, tmp_path / "renamed.tflite"))
    assert len(list((tmp_path / "logits").rglob("*.npz"))) == 3

    def fail(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(logits, "Network", fail)
    again = list(cache.read(copy, CLIPS.clips[:2]))
    for old, new in zip(first, again, strict=True):
        assert np.array_equal(old.logits, new.logits)
        assert (old.seconds, old.computing) == (new.seconds, new.computing)
    assert again[0].seconds == len(read_audio(CLIPS.clips[0].audio, RATE)) / RATE
    for model, clip in ((copy, 2), (GOLDEN.with_name("mini-armv7.tflite"), 0)):
        with pytest.raises(AssertionError, match="again"):
            list(cache.read(model, [CLIPS.clips[clip]]))


def test_a_clip_is_decoded_once(tmp_path):
    decoded = []

    def decoder(*arguments):
        decoded.append(arguments)
        return GreedyDecoder(*arguments)

    model = CachedModel(GOLDEN, LogitCache(tmp_path), {"counted": decoder})
    part = model.texts(CLIPS.every(2), "counted")
    assert model.texts(CLIPS, "counted")[::2] == part
    assert len(decoded) == 3
    cost = model.cost(CLIPS, "counted")
    assert len(decoded) == 3
    assert min(cost.network, cost.decoder) > 0


def test_first_words():
    references = ["turn it on", "yes", "no no", "stop"]
    texts = ["turn it off", "oh yes", "", "top"]
    assert wrong_first_words(references, texts).tolist() == [0, 0, 1, 1]


# Stages


@pytest.fixture
def toy_stages(monkeypatch, release):
    """Two stages that count their calls; the second fails the first time."""
    calls = []

    def first(_):
        calls.append("first")
        return {"value": 1}

    def second(_):
        calls.append("second")
        if len(calls) < 3:
            raise QualityCheckFailed("interrupted")
        return {"value": 2}

    monkeypatch.setattr(stages, "STAGES", (first, second))
    return calls


def test_a_stage_that_is_done_is_not_done_again(release, toy_stages):
    with pytest.raises(QualityCheckFailed):
        stages.perform(release)
    assert stages.perform(release) == {"first": {"value": 1}, "second": {"value": 2}}
    assert toy_stages == ["first", "second", "second"]
    stages.perform(release)
    assert len(toy_stages) == 3


def test_test_sets_are_looked_at_only_if_they_are_named(release, toy_stages, monkeypatch):
    looked_at = []

    def held_out(_, name):
        looked_at.append(name)
        return {"title": name}

    monkeypatch.setattr(stages.figures, "held_out", held_out)
    toy_stages += ["", ""]
    assert set(stages.perform(release)) == {"first", "second"}
    named = dataclasses.replace(release, tests=("digits",))
    assert stages.perform(named)["test-digits"] == {"title": "digits"}
    assert stages.perform(release)["test-digits"] == {"title": "digits"}
    assert looked_at == ["digits"]


def test_a_folder_of_another_run_is_refused(release, toy_stages, tiny_run):
    toy_stages += ["", ""]
    stages.perform(release)
    with pytest.raises(InputError, match="other inputs"):
        stages.perform(dataclasses.replace(release, run=tiny_run.folder))
    with pytest.raises(InputError, match="other inputs"):
        stages.perform(dataclasses.replace(release, noise="noise"))


def converted(release, monkeypatch, new_errors: int) -> None:
    """What ships makes two errors, and the new files `new_errors`."""
    for folder, content in ((release.work, b"new"), (release.shipped, b"old")):
        folder.mkdir()
        for name in (INT8, ARMV7):
            (folder / name).write_bytes(content)

    def model(_, path):
        errors = new_errors if path.parent == release.work else 2
        texts = ["wrong"] * errors + ["right"] * (4 - errors)
        return types.SimpleNamespace(score=lambda clips: score(["right"] * 4, texts))

    monkeypatch.setattr(Release, "model", model)
    monkeypatch.setattr(Release, "all_dev", CLIPS)


@pytest.mark.parametrize(("errors", "outcome"), [(1, "replaced"), (2, "kept"), (3, "kept")])
def test_new_files_replace_what_ships_if_they_are_better(release, monkeypatch, errors, outcome):
    converted(release, monkeypatch, errors)
    monkeypatch.setattr(making, "require_same_model", lambda *_: None)
    monkeypatch.setattr(making, "read_specification", lambda _: None)
    result = making.install(release)
    assert (result["outcome"], result["new"]["value"]) == (outcome, 25 * errors)
    expected = b"new" if outcome == "replaced" else b"old"
    assert {(release.shipped / name).read_bytes() for name in (INT8, ARMV7)} == {expected}


def test_equal_files_change_nothing(release, monkeypatch):
    converted(release, monkeypatch, 1)
    for name in (INT8, ARMV7):
        (release.work / name).write_bytes(b"old")
    assert making.install(release) == {"outcome": "unchanged"}


def test_a_worse_run_is_refused(release, monkeypatch):
    converted(release, monkeypatch, 3)
    shutil.copyfile(GOLDEN, release.shipped / INT8)
    with pytest.raises(QualityCheckFailed, match=r"75.00 % WER on dev, and 50.00 %"):
        making.install(release)
    assert (release.shipped / ARMV7).read_bytes() == b"old"


def test_a_better_run_is_packed(release, monkeypatch, tiny_run, tmp_path):
    converted(release, monkeypatch, 0)
    other = dataclasses.replace(release, run=tiny_run.folder, packed=tmp_path / "packed")
    assert making.install(other)["outcome"] == "replaced"
    assert Run.open(tmp_path / "packed").specification == tiny_run.specification


def test_weights_are_written_where_they_are_read(tmp_path, monkeypatch):
    assert fusion_weights.read_weights() == Weights()
    text = fusion_weights.FUSION.read_text()
    copy = tmp_path / "fusion.py"
    copy.write_text(text)
    monkeypatch.setattr(fusion_weights, "FUSION", copy)
    fusion_weights.write_weights(dataclasses.replace(Weights(), language_model=0.35, word_bonus=3))
    changed = dataclasses.replace(Weights(), language_model=0.35, word_bonus=3.0)
    assert fusion_weights.read_weights() == changed
    lines = zip(text.splitlines(), copy.read_text().splitlines(), strict=True)
    assert sum(before != after for before, after in lines) == 2


def tuned(release, monkeypatch, best: Weights, errors_of_rest: int):
    """`making.weights` where the errors grow with the distance from `best`."""
    written = []

    class Model:
        def __init__(self):
            self.decoders = {}

        def score(self, clips, name):
            values = zip(fusion_weights.STEPS.items(), map(float, name.split(", ")), strict=True)
            steps = (abs(value - getattr(best, weight)) / step for (weight, step), value in values)
            errors = min(20, round(sum(steps)))
            if clips is release.rest:
                errors = errors_of_rest if errors == 0 else 10
            return score(["right"] * 20, ["wrong"] * errors + ["right"] * (20 - errors))

    monkeypatch.setattr(Release, "model", lambda *_: Model())
    monkeypatch.setattr(Release, "all_dev", CLIPS)
    monkeypatch.setattr(making, "load_language_model", lambda _: None)
    monkeypatch.setattr(making, "write_weights", written.append)
    release = dataclasses.replace(release, every=2)
    assert release.part.clips == (CLIPS.clips[0], CLIPS.clips[2])
    assert release.rest.clips == (CLIPS.clips[1],)
    return making.weights(release), written


def test_the_search_finds_the_best_weights(release, monkeypatch):
    best = dataclasses.replace(Weights(), language_model=0.6, word_bonus=1.0)
    result, written = tuned(release, monkeypatch, best, errors_of_rest=0)
    assert written == [best]
    assert result["chosen"] == result["best"] == making.name_of(best) != making.name_of(Weights())
    assert result["gain"]["value"] == -50


def test_weights_stay_if_others_are_not_surely_better(release, monkeypatch):
    best = dataclasses.replace(Weights(), blank_penalty=1.5)
    present = making.name_of(Weights())
    result, written = tuned(release, monkeypatch, best, errors_of_rest=9)
    assert (result["chosen"], result["best"], written) == (present, making.name_of(best), [])
    result, written = tuned(release, monkeypatch, Weights(), errors_of_rest=0)
    assert (result["chosen"], written) == (present, [])
    assert "best" not in result


def test_curves_are_drawn_for_the_recordings_that_are_given(release, monkeypatch):
    ran = []
    monkeypatch.setattr(making, "_script", lambda *command: ran.append(command) or "printed")
    monkeypatch.setattr(Release, "all_dev", CLIPS)
    assert making.rejection(release) == {}
    with_wake = dataclasses.replace(release, wake=MINI)
    assert making.rejection(with_wake) == {"wake.png": "printed"}
    (command,) = ran
    assert command[:4] == (making.ROOT / "benchmarks/rejection.py", MINI, "--wake", "hey computer")
    assert command.count("--other-speech") == 3


def test_a_script_that_fails_is_one_line(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no sound')")
    with pytest.raises(QualityCheckFailed, match=r"broken\.py failed: no sound"):
        making._script(script)


# The model card


def rate(value: float) -> dict:
    return {"value": value, "interval": (value - 1, value + 1)}


def results() -> dict:
    row = {"greedy": rate(40), "lm": rate(30), "difference": rate(0), "first_words": rate(20)}
    rows = {condition.title: row for condition in recordings.levels()}
    level = {"clips": 146, "rows": rows}
    words = {name: rate(60) | {"right": 50.0, "empty": 10.0} for name in card.WORD_DECODERS}
    return {
        "weights": {"chosen": "0.4, 2"},
        "accuracy": {"LibriSpeech": {"clips": 239, "words": 8064} | row},
        "precision": {"float": rate(41), "int8": rate(0.25), "armv7": rate(-0.5)},
        "level": level,
        "noise": {"clips": 146, "rows": {"10 dB": row}},
        "rate": {"clips": 146, "rows": {"8 kHz": row}},
        "speed": {
            "greedy": {"network": 0.005, "decoder": 0.001},
            "lm": {"network": 0.005, "decoder": 0.02},
            "memory": 70.4,
        },
        "test-librispeech": {"title": "LibriSpeech", "clips": 107, "words": 3000} | row,
        "test-digits": {"title": "Digits", "clips": 300, "decoders": words, "levels": level},
    }


def test_the_card_has_every_figure_once():
    text = card.figures(results())
    for line in (
        "| dev: LibriSpeech | 239, 8064 | 40.00 (39.00 to 41.00) | 30.00 (29.00 to 31.00) |",
        "| test: LibriSpeech | 107, 3000 | 40.00 (39.00 to 41.00) | 30.00 (29.00 to 31.00) |",
        "| 41.00 (40.00 to 42.00) | +0.25 (-0.75 to +1.25) | -0.50 (-1.50 to +0.50) |",
        "| 10 dB | 40.00 (39.00 to 41.00) | 30.00 (29.00 to 31.00) |",
        "| greedy | 60.00 (59.00 to 61.00) | 50.0 | 40.0 | 10.0 |",
    ):
        assert text.count(line) == 1, line
    assert text.count("| -30 dB |") == 1
    assert "| 0.0060 s | 0.0250 s |" in text


def test_a_card_without_test_sets_says_nothing_of_them():
    dev = {name: row for name, row in results().items() if not name.startswith("test-")}
    text = card.figures(dev)
    assert "test:" not in text
    assert "Single words" not in text


def test_only_what_is_between_the_markers_changes(tmp_path):
    page = tmp_path / "card.md"
    page.write_text(f"before\n{card.BEGIN}\nold\n{card.END}\nafter\n")
    card.write(results(), page)
    first = page.read_text()
    assert first.startswith(f"before\n{card.BEGIN}\n###")
    assert first.endswith(f"\n{card.END}\nafter\n")
    assert "old" not in first
    card.write(results(), page)
    assert page.read_text() == first


@pytest.mark.parametrize("text", ["", card.BEGIN, f"{card.END}\n{card.BEGIN}"])
def test_a_page_without_markers_is_refused_and_kept(tmp_path, text):
    page = tmp_path / "card.md"
    page.write_text(text)
    with pytest.raises(InputError, match="needs the line"):
        card.write(results(), page)
    assert page.read_text() == text


def test_the_card_has_the_markers():
    text = card.CARD.read_text()
    assert card.filled(text, "new", card.CARD) != text


# The command


def test_bad_input_is_one_line(tmp_path):
    for run, manifest, problem in (
        (tmp_path / "none", MINI, "none"),
        (PRETRAINED, tmp_path / "none.jsonl", "none.jsonl"),
    ):
        done = CliRunner().invoke(main, [str(run), str(manifest), "data", "-o", str(tmp_path)])
        assert done.exit_code == 2
        assert done.output.startswith("error: ")
        assert problem in done.output
        assert done.output.count("\n") == 1


def test_a_test_set_that_does_not_exist_is_refused(tmp_path):
    arguments = ["run", "manifest", "data", "-o", str(tmp_path), "--test", "dev"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "'dev' is not one of" in done.output


def test_the_dev_clips_are_normalised():
    clips = recordings._clip_set("mini", read_manifest(MINI, "test"))
    assert all(text == text.lower() for text in clips.references)
    assert len(clips.every(3).clips) == -(-len(clips.clips) // 3)
