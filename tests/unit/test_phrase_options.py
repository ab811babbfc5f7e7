"""`--phrases` and `--wake` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from support import GOLDEN, MINI, SPOKEN, int16, speech

RADIO = SPOKEN["turn down the radio"]
WINDOW = SPOKEN["yes close the window"]


@pytest.fixture
def phrases(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("turn down the radio\nyes close the window\n")
    return path


def one_line(done) -> str:
    """The message of a command that failed with bad input."""
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    return done.stderr


def listen(*arguments: object) -> list[dict]:
    """The events that `listen --stdin --json` prints for the three clips."""
    command = [
        Path(sys.executable).with_name("ds2edge"),
        "listen",
        "-m",
        GOLDEN,
        "--stdin",
        "--json",
    ]
    done = subprocess.run(
        [*map(str, command), *map(str, arguments)],
        input=int16(speech()).tobytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_transcribe_says_what_is_listed_and_nothing_else(ds2edge, phrases):
    clips = SPOKEN.values()
    done = ds2edge("transcribe", "-m", GOLDEN, "--phrases", phrases, "--json", *clips)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert found == ["turn down the radio", "", "yes close the window"]


def test_listen_prints_only_phrases(phrases):
    final = [e for e in listen("--phrases", phrases) if e["event"] == "final"]
    assert [event["text"] for event in final] == ["turn down the radio", "yes close the window"]


def test_after_the_wake_phrase_comes_one_utterance():
    events = listen("--wake", "turn down the radio", "--wake-confidence", 0.3, "--end-idle", 4)
    wake, final = [event for event in events if event["event"] in ("wake", "final")]
    assert (wake["event"], wake["text"]) == ("wake", "turn down the radio")
    assert 0.3 <= wake["confidence"] <= 1
    duration = soundfile.info(RADIO).duration
    assert 0 <= wake["start"] < wake["end"] < duration + 1
    assert final["text"] == "seven one two five"  # and the third clip comes too late
    assert final["start"] > wake["end"]


def test_other_speech_wakes_nobody():
    assert listen("--wake", "open the garage door") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-confidence", 0.5], "--min-confidence needs --phrases"),
        (["--phrases", "nosuch.txt"], "nosuch.txt"),
    ],
)
def test_options_that_exclude_each_other(ds2edge, options, message):
    assert message in one_line(ds2edge("transcribe", "-m", GOLDEN, *options, RADIO))


@pytest.mark.parametrize(
    "options", [["--beam", 4], ["--hotwords", "radio"], ["--lm", "pretrained"]]
)
def test_free_text_needs_a_wildcard(ds2edge, phrases, options):
    done = ds2edge("transcribe", "-m", GOLDEN, "--phrases", phrases, *options, RADIO)
    assert "these phrases have no wildcard" in one_line(done)


def test_a_wildcard_is_decoded_with_hot_words(ds2edge, tmp_path):
    pytest.importorskip("hassil", reason="hassil is not installed (the extra `phrases`)")
    path = tmp_path / "note.yaml"
    path.write_text(
        "intents: {Note: {data: [{sentences: ['turn down {what}']}]}}\n"
        "lists: {what: {wildcard: true}}\n"
    )
    clip = [RADIO, "--json"]
    done = ds2edge("transcribe", "-m", GOLDEN, "--phrases", path, *clip)
    assert json.loads(done.stdout)["slots"] == {"what": "the radio"}, done.stderr
    options = ["--hotwords", "the radios", "--beam", 16]
    done = ds2edge("transcribe", "-m", GOLDEN, "--phrases", path, *options, *clip)
    assert json.loads(done.stdout)["slots"]["what"].startswith("the radio"), done.stderr


def test_a_wake_confidence_needs_a_wake_phrase(ds2edge):
    done = ds2edge("listen", "-m", GOLDEN, "--wake-confidence", 0.5, "--stdin")
    assert "--wake-confidence needs --wake" in one_line(done)
    done = ds2edge("listen", "-m", GOLDEN, "--wake", "?!", "--stdin")
    assert "nothing of '?!' can be said" in one_line(done)


def test_evaluate_counts_the_words_of_phrases(ds2edge, phrases, tmp_path):
    pytest.importorskip("jiwer", reason="jiwer is not installed (the extra `train`)")
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    chosen = [row for row in rows if (MINI.parent / row["audio"]) in (RADIO, WINDOW)]
    for row in chosen:
        row["audio"] = str(MINI.parent / row["audio"])
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row | {"split": "test"}) + "\n" for row in chosen))
    done = ds2edge("evaluate", manifest, "-m", GOLDEN, "--phrases", phrases, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["overall"]["wer"] == 0
    assert "phrases (" in done.stdout


def test_bench_measures_the_decoder_of_phrases(ds2edge, phrases):
    done = ds2edge("bench", "-m", GOLDEN, "--phrases", phrases, "--seconds", 5, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parts"]["decoder"]["milliseconds_per_second"] > 0


def test_a_template_fault_is_one_line_with_its_line_number(ds2edge, tmp_path):
    pytest.importorskip("hassil", reason="hassil is not installed (the extra `phrases`)")
    path = tmp_path / "house.yaml"
    path.write_text("intents:\n  Light:\n    data:\n      - sentences: ['turn on {room}']\n")
    message = one_line(ds2edge("transcribe", "-m", GOLDEN, "--phrases", path, RADIO))
    assert f"{path}:4: there is no list 'room'" in message
    path.write_text("intents:\n\tLight: {}\n")
    message = one_line(ds2edge("transcribe", "-m", GOLDEN, "--phrases", path, RADIO))
    assert f"{path}:2: not YAML" in message
