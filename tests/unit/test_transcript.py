"""Logs and recordings of utterances, and the level meter."""

import errno
import json
import os
from datetime import datetime

import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.decoding.ctc import Word
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.live.display import loudest_channel_level, meter
from ds2edge.runtime.live.transcript import JsonLines, Recordings, final_event
from ds2edge.runtime.utterances import Utterance
from ds2edge.train.data.manifest import read_manifest

UTTERANCE = Utterance([Word("naïve", 1.0, 1.5, 0.9), Word("words", 1.6, 2.0, 0.8)], babble(0.5))


def test_a_final_event_describes_the_utterance():
    event = final_event(UTTERANCE, latency=1.23456)
    words = event.pop("words")
    assert datetime.fromisoformat(event.pop("time")).tzinfo
    assert event == {
        "event": "final",
        "text": "naïve words",
        "start": 1.0,
        "end": 2.0,
        "confidence": 0.85,
        "latency": 1.235,
    }
    assert words[1] == {"text": "words", "start": 1.6, "end": 2.0, "confidence": 0.8}


def test_a_log_ends_an_incomplete_line_before_it_appends(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    for _ in range(2):
        log = JsonLines(path)
        log.append({"text": "naïve\nwords"})
        log.close()
    with path.open("ab") as file:
        file.write(b'{"text": "cut by a power fai')
    log = JsonLines(path)
    log.append({"text": "after"})
    log.close()
    lines = path.read_text("utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in (lines[0], lines[1], lines[3])]
    assert texts == ["naïve\nwords", "naïve\nwords", "after"]
    assert lines[2].endswith("fai")


def test_a_full_disk_leaves_no_incomplete_line(tmp_path, monkeypatch):
    log = JsonLines(tmp_path / "log.jsonl")
    log.append({"text": "before"})
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, data: write(file, data[:5]))
        with pytest.raises(OSError, match="No space") as caught:
            log.append({"text": "lost"})
    assert caught.value.errno == errno.ENOSPC
    log.append({"text": "after"})
    log.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["before", "after"]


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        JsonLines(tmp_path)


def test_the_manifest_of_recordings_can_be_trained_on(tmp_path):
    recordings = Recordings(tmp_path / "saved", RATE)
    recordings.add(UTTERANCE)
    recordings.add(UTTERANCE)
    recordings.close()
    clips = read_manifest(tmp_path / "saved" / "manifest.jsonl")
    assert [(clip.text, clip.duration) for clip in clips] == [("naïve words", 0.5)] * 2
    assert clips[0].audio != clips[1].audio
    sound, rate = soundfile.read(clips[0].audio, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(sound, UTTERANCE.samples, atol=1e-4)
    assert len(list((tmp_path / "saved").iterdir())) == 3


def test_one_in_ten_recordings_is_dev_however_often_the_folder_is_reopened(tmp_path):
    for _ in range(4):
        recordings = Recordings(tmp_path, RATE)
        for _ in range(5):
            recordings.add(UTTERANCE)
        recordings.close()
    splits = [clip.split for clip in read_manifest(tmp_path / "manifest.jsonl")]
    assert [number for number, split in enumerate(splits) if split == "dev"] == [5, 15]


def test_a_recording_that_does_not_fit_leaves_nothing_behind(tmp_path, monkeypatch):
    recordings = Recordings(tmp_path, RATE)

    def fails(path, *arguments, **options):
        path.write_bytes(b"half")
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "write", fails)
    with pytest.raises(OSError, match="No space"):
        recordings.add(UTTERANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_levels_are_in_db_of_full_scale():
    tone = np.sin(np.arange(16000) * 0.3)
    assert loudest_channel_level(tone.astype(np.float32)) == pytest.approx(-3.0, abs=0.1)
    assert loudest_channel_level((tone * 327.67).astype(np.int16)) == pytest.approx(-43, abs=0.1)
    for samples in (10, 0):
        assert loudest_channel_level(np.zeros(samples, np.int16)) == -60


def test_the_meter_fills_with_the_level():
    assert [meter(level).count("█") for level in (-100, -60, -30, 0, 3)] == [0, 0, 5, 10, 10]
    assert {len(meter(level)) for level in (-100, -30, 3)} == {10}
