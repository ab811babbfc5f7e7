"""Evaluation: correct figures for every kind of model, and complete reports without links."""

import base64
import dataclasses
import io
import json
import logging
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from support import GOLDEN, MINI, RATE, SPOKEN, babble

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip, write_manifest
from ds2edge.train.evaluation import evaluate as evaluation_module
from ds2edge.train.evaluation import transcriber as transcriber_module
from ds2edge.train.evaluation.evaluate import evaluate
from ds2edge.train.evaluation.report import PLAYED, PLAYERS, html, markdown, write_report
from ds2edge.train.evaluation.scoring import align, bootstrap_interval, score

RADIO, DIGITS, WINDOW = SPOKEN  # texts that the golden model transcribes without a mistake


@pytest.fixture
def manifest(tmp_path):
    """A function that writes a manifest. A row is path, text and perhaps duration and speaker."""

    def write(*rows):
        clips = [
            Clip(path, text, *(rest[:1] or [1.0]), "test", *rest[1:]) for path, text, *rest in rows
        ]
        write_manifest(tmp_path / "manifest.jsonl", clips)
        return tmp_path / "manifest.jsonl"

    return write


@pytest.fixture(scope="module")
def golden():
    """The golden model on the embedded corpus, with noise."""
    return evaluate(GOLDEN, [MINI], "test", snrs=(5, 20, 5))


class Page(HTMLParser):
    """Tags with their attributes, and all text, of an HTML page."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag, **attributes):
        return sum(name == tag and attributes.items() <= given.items() for name, given in self.tags)


def texts(evaluation):
    return {clip.audio: clip.hypothesis for clip in evaluation.clips}


def test_a_run_and_its_float32_file_say_the_same_of_every_clip(tiny_run, tiny_model):
    whole, streamed = (
        evaluate(model, [MINI], "test", snrs=(10,)) for model in (tiny_run.folder, tiny_model)
    )
    assert texts(whole) == texts(streamed)
    assert len(set(texts(whole).values())) > 100  # it listens
    assert whole.by_noise == streamed.by_noise  # both were given the same noise
    assert (whole.mode, streamed.mode) == ("keras", "float32")
    assert whole.real_time_factor is None
    assert 0 < streamed.real_time_factor < 1


def test_batches_change_no_text(tiny_run, monkeypatch):
    checkpoint = tiny_run.best
    before = texts(evaluate(checkpoint, [MINI], "test"))
    monkeypatch.setattr(transcriber_module, "BATCH_SECONDS", 5.0)
    assert texts(evaluate(checkpoint, [MINI], "test")) == before


def test_every_checkpoint_of_a_run_can_be_evaluated(tiny_run, tmp_path, manifest):
    folder = shutil.copytree(tiny_run.folder, tmp_path / "run")
    path = manifest((SPOKEN[RADIO], RADIO))
    assert (
        evaluate(folder, [path], "test").clips
        == evaluate(folder / "last.keras", [path], "test").clips
    )
    (folder / "best.keras").unlink()
    assert evaluate(folder / "last.keras", [path], "test").overall.clips == 1
    (folder / "specification.json").unlink()
    for model, says in (
        (folder / "last.keras", "not a run"),
        (folder / "best.keras", "no such model"),
    ):
        with pytest.raises(InputError, match=says):
            evaluate(model, [path], "test")


def test_figures_agree_with_jiwer_and_groups_add_up(golden, mini_clips):
    references = [c.reference for c in golden.clips]
    hypotheses = [c.hypothesis for c in golden.clips]
    overall = golden.overall
    assert (overall.clips, overall.words) == (112, 318)
    assert overall.wer == pytest.approx(100 * jiwer.wer(references, hypotheses))
    assert overall.cer == pytest.approx(100 * jiwer.cer(references, hypotheses))
    assert overall.wer_interval[0] < overall.wer < overall.wer_interval[1]
    assert overall.cer_interval[0] < overall.cer < overall.cer_interval[1] < overall.wer_interval[1]
    in_order = score(
        [c.text for c in mini_clips if c.split == "test"],
        [texts(golden)[str(c.audio)] for c in mini_clips if c.split == "test"],
    )
    assert (overall.wer_interval, overall.cer_interval) == (
        in_order.wer_interval(),
        in_order.cer_interval(),
    )
    for groups in (golden.by_speaker, golden.by_length):
        assert len(groups) == 2
        assert sum(group.clips for group in groups) == 112
        assert sum(group.words * group.wer for group in groups) == pytest.approx(318 * overall.wer)
    emma = [c for c in golden.clips if c.speaker == "kokoro-bf_emma"]
    assert golden.by_speaker[0].group == "kokoro-bf_emma"  # the worse of the two
    assert golden.by_speaker[0].wer == pytest.approx(
        100 * jiwer.wer([c.reference for c in emma], [c.hypothesis for c in emma])
    )
    assert golden.by_length[0].group == "under 1 s"
    assert golden.by_length[0].clips == sum(clip.seconds < 1 for clip in golden.clips)
    assert golden.overall.hours == pytest.approx(
        sum(clip.seconds for clip in golden.clips) / 3600, abs=1e-4
    )


def test_noise_repeats_itself_and_the_louder_the_worse(golden):
    assert [group.group for group in golden.by_noise] == ["no noise", "20 dB", "5 dB"]
    rates = [group.wer for group in golden.by_noise]
    assert rates[0] == golden.overall.wer
    assert rates[0] < rates[1] < rates[2] - 10
    again = evaluate(GOLDEN, [MINI], "test", snrs=(5,))
    assert again.by_noise[1] == golden.by_noise[2]
    assert texts(again) == texts(golden)


def test_noise_is_of_the_level_asked_for_and_from_the_folder(tmp_path):
    t = np.arange(3 * RATE) / RATE
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "hum.wav", 0.3 * np.sin(2 * np.pi * 1000 * t), RATE)
    clip = Clip(SPOKEN[RADIO], RADIO, 1.0, "test")
    for folder in (None, str(tmp_path / "noise")):
        sounds = list(evaluation_module._sounds([(0, clip)], RATE, [20.0, 10.0], folder, []))
        assert [sound.snr_db for sound in sounds] == [None, 20, 10]
        clean = sounds[0].samples
        np.testing.assert_array_equal(clean, read_audio(clip.audio, RATE))
        for sound in sounds[1:]:
            noise = sound.samples - clean
            assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(
                sound.snr_db, abs=0.1
            )
            spectrum = np.abs(np.fft.rfft(noise)) ** 2
            near = np.abs(np.fft.rfftfreq(len(noise), 1 / RATE) - 1000) < 20
            assert (spectrum[near].sum() > 0.9 * spectrum.sum()) == (folder is not None)


def test_mistakes_are_counted_by_kind(manifest):
    path = manifest(
        (SPOKEN[RADIO], "please turn up the radio"),
        (SPOKEN[DIGITS], "7 1 2 5"),
        (SPOKEN[WINDOW], "close window"),
    )
    result = evaluate(GOLDEN, [path], "test")
    assert [dataclasses.astuple(c) for c in result.substitutions] == [("up", "down", 1)]
    assert [dataclasses.astuple(c) for c in result.deletions] == [("please", "", 1)]
    assert [dataclasses.astuple(c) for c in result.insertions] == [("", "the", 1), ("", "yes", 1)]
    assert result.overall.wer == pytest.approx(100 * 4 / 11)
    assert [(clip.reference, clip.word_errors) for clip in result.clips] == [
        ("please turn up the radio", 2),
        ("close window", 2),
        ("seven one two five", 0),
    ]
    assert not result.by_speaker  # none is named


def test_alignment_goes_word_by_word():
    assert align("a b c d", "x a c c e") == [
        ("", "x"),
        ("a", "a"),
        ("b", "c"),
        ("c", "c"),
        ("d", "e"),
    ]
    assert align("a b", "") == [("a", ""), ("b", "")]


def test_the_interval_of_a_large_corpus_is_drawn_in_parts_and_is_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    errors, words = rng.integers(0, 3, 300), rng.integers(3, 9, 300)
    drawn = np.random.default_rng(0).integers(300, size=(2000, 300))
    expected = np.percentile(100 * errors[drawn].sum(1) / words[drawn].sum(1), [2.5, 97.5])
    for size in (10**6, 1000, 10):
        monkeypatch.setattr("ds2edge.train.evaluation.scoring.DRAWN", size)
        assert bootstrap_interval(errors, words) == pytest.approx(tuple(expected))


def test_the_interval_of_the_cer_is_that_of_characters():
    result = score(["abc def", "ghi", "jkl mno"], ["abc dxf", "ghi", "jk mo"])
    assert result.cer_interval() == bootstrap_interval(result.character_errors, result.characters)
    assert result.of([0, 2]).cer == pytest.approx(100 * 3 / 14)


@pytest.mark.parametrize("kind", ["run", "tflite"])
def test_clips_of_any_form_are_heard_and_unusable_ones_named_and_counted(
    kind, tiny_run, tiny_model, wav, manifest, tmp_path, caplog
):
    text = tmp_path / "text.wav"
    empty = wav("empty.wav", seconds=0)
    speck = tmp_path / "speck.wav"
    text.write_text("no sound")
    soundfile.write(speck, np.zeros(1), 192000)
    path = manifest(
        (wav("minute.flac", seconds=60), "a long one", 60.0),
        (wav("stereo.wav", rate=44100, channels=2), "Nº 9: naïve 🎉", 1.0),
        (wav("low.wav", rate=8000), "low"),
        (empty, "nothing"),
        (speck, "a speck"),
        (text, "text"),
        (tmp_path / "missing.wav", "missing"),
        (wav("wordless.wav"), "🎉 ?!"),
    )
    with caplog.at_level(logging.WARNING, "ds2edge"):
        result = evaluate(tiny_run.folder if kind == "run" else tiny_model, [path], "test")
    assert {clip.seconds for clip in result.clips} == {60.0, 1.0}
    assert result.overall.clips == 3
    assert [group.group for group in result.by_length] == ["1 to 2 s", "32 s and more"]
    names = ("empty.wav", "speck.wav", "text.wav", "missing.wav", "wordless.wav")
    for lines in (result.left_out, caplog.messages[:-1]):
        assert len(lines) == len(names)
        for name in names:
            assert len([line for line in lines if f"/{name}: " in line]) == 1, name
    assert caplog.messages[-1] == "left out 5 of 8 clips"
    assert markdown(result).endswith(
        f"clips left out: 5\n\n- {result.left_out[0]}\n"
        + "".join(f"- {line}\n" for line in result.left_out[1:])
    )
    assert Page(html(result)).count("li") == 5


def test_where_nothing_can_be_scored_that_is_an_error(ds2edge, manifest, tmp_path):
    path = manifest((tmp_path / "no.wav", "a"), (SPOKEN[RADIO], "!"))
    done = ds2edge("evaluate", "-m", GOLDEN, path)
    assert done.returncode == 2
    assert (
        "none of the 2 clips of split test can be scored; the first: "
        in done.stderr.splitlines()[-1]
    )
    assert not done.stdout


def test_the_gate_is_exit_code_1_after_the_report(ds2edge, manifest, tmp_path):
    path = manifest((SPOKEN[RADIO], RADIO), (SPOKEN[DIGITS], "seven one two"))  # 1 error in 7 words
    passed = ds2edge("evaluate", "-m", GOLDEN, path, "--max-wer", 15)
    assert passed.returncode == 0, passed.stderr
    report = tmp_path / "report"
    failed = ds2edge("evaluate", "-m", GOLDEN, path, "--max-wer", 14, "-o", report)
    assert failed.returncode == 1
    assert (
        failed.stderr.splitlines()[-1] == f"error: {GOLDEN}: WER 14.29 % is more than --max-wer 14"
    )
    assert "| all | 2 | 7 | 0.001 | 14.29 (0.00 to 33.33) |" in failed.stdout
    names = sorted(file.name for file in report.iterdir())
    assert names == ["evaluation.html", "evaluation.json", "evaluation.md"]
    markdown_text = (report / "evaluation.md").read_text()
    assert markdown_text.endswith(failed.stdout.split("\n", 1)[1])


@pytest.mark.parametrize(
    ("model", "manifest", "says"),
    [
        ("none.tflite", MINI, r"none\.tflite: no such model"),
        (MINI, MINI, "no ds2edge specification inside"),
        (MINI.parent, MINI, "not a run of `ds2edge train`"),
        (GOLDEN, "none.jsonl", r"none\.jsonl: cannot be read"),
    ],
)
def test_what_is_no_model_or_no_manifest_is_refused_by_name(model, manifest, says):
    with pytest.raises(InputError, match=says):
        evaluate(Path(model), [Path(manifest)], "test")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--noise", "."), "--noise . needs --noise-snr"),
        (("--noise-snr", "10", "--noise", "empty"), "empty: holds no sound file"),
        (("--noise-snr", "10,loud"), "'10,loud' is not a number of dB"),
        (("--noise-snr", "inf"), "'inf' holds a level that is not finite"),
        (("-o", "file/report"), "file/report: cannot be written"),
    ],
)
def test_bad_options_are_refused_in_one_line(ds2edge, tmp_path, options, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    done = ds2edge("evaluate", "-m", GOLDEN, MINI, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_threads_are_for_the_interpreter_alone(tiny_run):
    with pytest.raises(InputError, match=r"--threads is only for \.tflite files"):
        evaluate(tiny_run.folder, [MINI], "test", threads=2)


def test_a_tflite_file_is_evaluated_without_keras(manifest):
    code = (
        "import sys\nsys.modules['keras'] = sys.modules['tensorflow'] = None\n"
        "from ds2edge.runtime.cli import main\nmain(sys.argv[1:], standalone_mode=False)"
    )
    options = ["evaluate", "-m", str(GOLDEN), str(manifest((SPOKEN[RADIO], RADIO)))]
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| all | 1 | 4 | 0.000 | 0.00 (0.00 to 0.00) |" in done.stdout


def test_the_page_is_one_file_with_pictures_and_the_worst_clips_to_hear(golden):
    page = Page(html(golden))
    sources = [given["src"] for _, given in page.tags if "src" in given]
    assert sources
    assert all(
        source.startswith(("data:audio/flac;base64,", "data:image/svg+xml;base64,"))
        for source in sources
    )
    assert not [given for _, given in page.tags if "href" in given]
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    assert page.count("img") == 3  # speaker, length, noise
    assert page.count("audio") == PLAYERS
    first = next(given["src"] for tag, given in page.tags if tag == "audio")
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(first.split(",")[1])))
    expected = read_audio(golden.clips[0].audio, RATE)
    assert rate == RATE
    np.testing.assert_allclose(heard, expected, atol=1 / 32768)


def test_words_are_aligned_and_mistakes_marked(manifest):
    path = manifest((SPOKEN[RADIO], "please turn up the radio"), (SPOKEN[DIGITS], "one two five"))
    page = Page(html(evaluate(GOLDEN, [path], "test")))
    assert page.count("span", **{"class": "equal"}) == 3 + 3
    for kind in ("substitution", "insertion", "deletion"):
        assert page.count("span", **{"class": kind}) == 1 + 1  # and one in the legend
    assert page.count("audio") == 2


def test_long_clips_are_played_in_part_and_clips_without_a_mistake_not_at_all(manifest, tmp_path):
    soundfile.write(tmp_path / "long.wav", babble(50.0), RATE)
    path = manifest((tmp_path / "long.wav", "something else", 50.0), (SPOKEN[RADIO], RADIO))
    page = Page(html(evaluate(GOLDEN, [path], "test")))
    assert page.count("audio") == 1
    source = next(given["src"] for tag, given in page.tags if tag == "audio")
    assert soundfile.info(io.BytesIO(base64.b64decode(source.split(",")[1]))).duration == PLAYED
    assert f"(the first {PLAYED} s)" in page.text


def test_names_cannot_become_html_or_break_a_table(manifest, tmp_path):
    name, speaker = '"><img src=x onerror=alert(1)>&.ogg', "<script>alert(1)</script>|$x$"
    shutil.copy(SPOKEN[RADIO], tmp_path / name)
    path = manifest((tmp_path / name, "stop", 1.0, speaker), (SPOKEN[DIGITS], "stop", 1.0, "b"))
    result = evaluate(GOLDEN, [path], "test")
    page = Page(html(result))
    assert speaker in page.text
    assert name in page.text
    assert page.count("script") == 0
    assert not any("onerror" in given for _, given in page.tags)
    assert page.count("img") == 1  # two speakers; the clips are of one length
    assert "| <script>alert(1)</script>\\|$x$ | 1 | 1 |" in markdown(result)


def test_json_holds_all_that_the_page_shows(golden, tmp_path):
    write_report(golden, tmp_path)
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert result["overall"]["wer"] == golden.overall.wer
    assert len(result["clips"]) == 112
    assert result["clips"][0]["word_errors"] == max(clip["word_errors"] for clip in result["clips"])
    assert {"engine", "mode", "by_noise", "substitutions", "real_time_factor"} <= set(result)


def test_a_full_disk_is_one_line(golden, tmp_path, monkeypatch):
    (tmp_path / "evaluation.json.part").mkdir()  # stands in for it: the text cannot be written
    with pytest.raises(InputError, match=r"evaluation\.json: cannot be written"):
        write_report(golden, tmp_path)
