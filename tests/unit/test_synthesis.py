"""Jobs of speech synthesis: what they write, and that they can be stopped at any point."""

import io
import json
import shutil
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support import RATE, FakeVoice

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.synthesis.clip import Task, draw_voice, make_clip, trim
from ds2edge.train.synthesis.job import repeatedly, synthesise
from ds2edge.train.synthesis.line import Line

VOICES = [FakeVoice("hibari-a"), FakeVoice("flite-b"), FakeVoice("mine-c"), FakeVoice("espeak-d")]
LINES = [Line(f"sentence {n}", "phrase") for n in range(6)]
LINES.insert(2, Line("hm"))  # cannot be said


def rows(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def sounds(folder):
    """The samples of all clips. The files differ: Ogg streams have random serial numbers."""
    return [soundfile.read(folder / row["audio"])[0].tobytes() for row in rows(folder)]


def test_every_line_is_said_once_in_order(tmp_path, caplog):
    caplog.set_level("INFO", logger="ds2edge")
    lines = [*LINES, Line("Turn to 21!", "near", "test", 0.5)]
    manifest = synthesise(lines, VOICES, tmp_path / "a" / "b", processes=1)
    assert manifest == tmp_path / "a" / "b" / "manifest.jsonl"
    clips = read_manifest(manifest)
    assert [clip.text for clip in clips] == [
        *(f"sentence {n}" for n in ("zero", "one", "two", "three", "four", "five")),
        "turn to twenty one",
    ]
    assert (clips[-1].split, clips[-1].weight, clips[0].weight) == ("test", 0.5, 1.0)
    assert all(clip.audio.is_file() for clip in clips)
    made = rows(manifest.parent)
    assert [row["kind"] for row in made] == ["phrase"] * 6 + ["near"]
    assert {row["speaker"] for row in made} <= {voice.name for voice in VOICES}
    assert all(row["corpus"] == f"synthetic_{row['speaker'].split('-')[0]}" for row in made)
    assert "cannot say 'hm' (no sound)" in caplog.text
    assert "skipped 1 of 8 clips" in caplog.text
    assert "flite: CC0-1.0" in caplog.text


def test_a_clip_is_trimmed_scaled_and_depends_on_its_number_only():
    task = Task(12, Line("a sentence"), seed=1)
    clip = make_clip(task, VOICES)
    samples, rate = soundfile.read(io.BytesIO(clip.sound))
    assert rate == RATE
    assert len(samples) / RATE == pytest.approx(clip.row["duration"], abs=1e-3)
    assert 0.8 < clip.row["duration"] < 1.4
    assert 0.15 < np.abs(samples).max() < 1
    again, _ = soundfile.read(io.BytesIO(make_clip(task, VOICES).sound))
    assert np.array_equal(again, samples)
    other, _ = soundfile.read(io.BytesIO(make_clip(Task(13, Line("a sentence"), 1), VOICES).sound))
    assert not np.array_equal(other, samples)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 1000])
def test_short_sounds_are_trimmed_too(length):
    assert len(trim(np.ones(length, np.float32), 0.1, 0.1)) == length


def test_silence_is_trimmed_to_the_edges():
    sound = np.pad(np.ones(1600, np.float32), 8000)
    assert np.array_equal(trim(sound, 0.1, 0.0), np.pad(np.ones(1600), (1600, 0)))
    assert np.array_equal(trim(sound, 0.0, 0.2), np.pad(np.ones(1600), (0, 3200)))


def test_engines_speak_in_proportion_to_their_shares():
    engines = Counter(draw_voice(VOICES, Task(n, LINES[0], 1).rng()).name for n in range(2000))
    shares = [engines[voice.name] / 2000 for voice in VOICES]
    assert shares == pytest.approx([6 / 9.5, 1 / 9.5, 2 / 9.5, 0.5 / 9.5], abs=0.03)


def test_every_sentence_is_said_once_before_any_is_said_again():
    whole = list(islice(repeatedly(LINES, 3), 21))
    assert [task.number for task in whole] == list(range(21))
    turns = [[task.line for task in whole[i : i + 7]] for i in (0, 7, 14)]
    assert all(sorted(map(str, turn)) == sorted(map(str, LINES)) for turn in turns)
    assert turns[0] != turns[1]


def test_a_job_ends_at_the_wanted_hours_and_goes_on_with_more(tmp_path):
    for clips in (9, 18):
        synthesise(LINES, VOICES, tmp_path / "two", hours=clips / 3600, processes=1)
        assert clips <= sum(row["duration"] for row in rows(tmp_path / "two")) < clips + 1.4
    synthesise(LINES, VOICES, tmp_path / "one", hours=18 / 3600, processes=1)
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    synthesise(LINES, VOICES, folder, processes=1)
    return folder


@settings(max_examples=15, deadline=None)
@given(point=st.integers(min_value=0))
def test_a_job_that_was_stopped_anywhere_ends_as_if_it_had_not_been(
    unbroken, tmp_path_factory, point
):
    folder = tmp_path_factory.mktemp("stopped") / "job"
    shutil.copytree(unbroken, folder)
    whole = (unbroken / "manifest.jsonl").read_bytes()
    kept = whole[: point % (len(whole) + 1)]
    (folder / "manifest.jsonl").write_bytes(kept)
    complete = kept.count(b"\n")
    for row in rows(unbroken)[complete:]:
        (folder / row["audio"]).unlink()
    synthesise(LINES, VOICES, folder, processes=1)
    assert (folder / "manifest.jsonl").read_bytes() == whole
    assert sounds(folder) == sounds(unbroken)


def test_worker_processes_make_the_same_clips(unbroken, tmp_path):
    synthesise(LINES, VOICES, tmp_path, processes=2)
    assert rows(tmp_path) == rows(unbroken)
    assert sounds(tmp_path) == sounds(unbroken)


def test_a_killed_worker_is_one_line_and_loses_no_clip(tmp_path):
    lines = [*LINES, Line("die"), *LINES]
    with pytest.raises(InputError, match="a worker process was killed, perhaps because memory"):
        synthesise(lines, VOICES, tmp_path, processes=2)
    synthesise(LINES, VOICES, tmp_path, processes=1)
    assert len(rows(tmp_path)) == 6


@pytest.mark.parametrize("hours", [None, 0.01])
def test_a_job_that_can_say_nothing_ends(tmp_path, hours):
    with pytest.raises(
        InputError, match=r"none of 2 sentences can be said; the first: .* cannot say '"
    ):
        synthesise([Line("hm"), Line("!?")], VOICES, tmp_path, hours=hours, processes=1)


def test_nothing_to_say_and_nobody_to_say_it(tmp_path):
    with pytest.raises(InputError, match="there is no sentence to say"):
        synthesise([], VOICES, tmp_path)
    with pytest.raises(InputError, match="there is no voice"):
        synthesise(LINES, [], tmp_path)


OTHER = {
    "lines": ([Line("other"), *LINES[1:]], VOICES, {}),
    "kinds": ([Line("sentence 0", "near"), *LINES[1:]], VOICES, {}),
    "fewer lines": (LINES[:3], VOICES, {}),
    "voices": (LINES, [FakeVoice("kokoro-z")], {}),
    "seed": (LINES, VOICES, {"seed": 2}),
    "order": (LINES, VOICES, {"hours": 1}),
}


@pytest.mark.parametrize("job", OTHER)
def test_a_folder_with_other_clips_is_refused_and_left_alone(unbroken, job):
    lines, voices, options = OTHER[job]
    before = (unbroken / "manifest.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds clips of another job: choose another folder"):
        synthesise(lines, voices, unbroken, processes=1, **options)
    assert (unbroken / "manifest.jsonl").read_bytes() == before


@pytest.mark.parametrize("hours", [None, 1])
@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "7", "no JSON", '{"audio": "a.wav"}', '{"audio": "audio/1"}', '{"audio": 3}'],
)
def test_a_foreign_manifest_is_refused(tmp_path, line, hours):
    (tmp_path / "manifest.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match="holds clips of another job"):
        synthesise(LINES, VOICES, tmp_path, hours=hours, processes=1)
    assert (tmp_path / "manifest.jsonl").read_text() == line + "\n"
