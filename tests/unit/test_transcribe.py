"""`ds2edge transcribe` in this process: alternatives, and hot words with digits."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from support import GOLDEN, SPOKEN

from ds2edge.runtime import InputError, Recognizer
from ds2edge.runtime.commands.transcribe import transcribe

CLIP = str(next(iter(SPOKEN.values())))
TEXT = next(iter(SPOKEN))


def run(*arguments: str):
    return CliRunner().invoke(transcribe, ["-m", str(GOLDEN), *arguments])


def test_alternatives_start_with_the_text_and_have_falling_scores():
    result = Recognizer(GOLDEN, beam=16).transcribe(CLIP, alternatives=5)
    texts = [alternative.text for alternative in result.alternatives]
    scores = [alternative.score for alternative in result.alternatives]
    assert texts[0] == result.text == TEXT
    assert result.alternatives[0].words == result.words
    assert len(texts) == len(set(texts)) == 5
    assert scores == sorted(scores, reverse=True)


def test_a_negative_number_of_alternatives_is_refused():
    with pytest.raises(InputError, match="alternatives must be at least 0, not -1"):
        Recognizer(GOLDEN, beam=2).transcribe(CLIP, alternatives=-1)


def test_without_asking_there_are_no_alternatives():
    assert Recognizer(GOLDEN, beam=16).transcribe(CLIP).alternatives == []


def test_greedy_decoding_has_no_alternatives():
    with pytest.raises(InputError, match="need a beam search"):
        Recognizer(GOLDEN).transcribe(CLIP, alternatives=2)


def test_json_lists_alternatives_on_request_only():
    plain = json.loads(run("--json", "--beam", "16", CLIP).stdout.splitlines()[0])
    assert list(plain) == ["audio", "text", "words", "seconds", "real_time_factor"]
    listed = json.loads(
        run("--json", "--beam", "16", "--alternatives", "3", CLIP).stdout.splitlines()[0]
    )
    assert list(listed) == [*plain, "alternatives"]
    assert [list(alternative) for alternative in listed["alternatives"]] == 3 * [["text", "score"]]
    assert listed["alternatives"][0]["text"] == listed["text"] == TEXT


def test_text_has_one_alternative_per_line_with_its_score():
    lines = run("--beam", "16", "--alternatives", "2", CLIP).stdout.splitlines()[:2]
    scores, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert texts[0] == TEXT
    assert float(scores[0]) >= float(scores[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alternatives", "2"], "--alternatives needs a beam search"),
        (["--alternatives", "2", "--beam", "4", "--format", "srt"], "use text or json"),
    ],
)
def test_alternatives_that_cannot_be_given_are_an_input_error(arguments, message):
    error = run(*arguments, CLIP).exception
    assert isinstance(error, InputError)
    assert message in str(error)


def test_a_line_break_in_a_file_name_breaks_no_line(tmp_path):
    name = tmp_path / "a\tb\nc.wav"
    name.write_bytes(Path(CLIP).read_bytes())
    for options in ((), ("--format", "tsv", "-o", str(tmp_path / "out"))):
        done = run(str(name), str(name), *options)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "out").read_text().count("a b c.wav\t") == 2
    lines = run(str(name), str(name)).stdout.splitlines()
    assert lines == 2 * [f"{tmp_path}/a b c.wav: {TEXT}"]


@pytest.mark.parametrize(("model", "warns"), [(GOLDEN, True), ("pretrained", False)])
def test_a_quiet_recording_is_a_warning_where_the_level_matters(tmp_path, caplog, model, warns):
    samples, rate = soundfile.read(CLIP)
    soundfile.write(tmp_path / "a.wav", 0.2 * samples, rate)
    run("-m", str(model), str(tmp_path / "a.wav"))
    assert ("is quiet" in caplog.text) == warns


@pytest.mark.parametrize("hotword", ["42", "C-3PO"])
def test_a_hot_word_with_digits_is_refused_with_the_remedy(hotword):
    error = run("--hotwords", hotword, CLIP).exception
    assert isinstance(error, InputError)
    assert "write numbers in words" in str(error)
