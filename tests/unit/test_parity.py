"""Parity: figures that are right of good and bad models alike, and reports that hold them."""

import dataclasses
import json
import shutil
from html.parser import HTMLParser

import jiwer
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from support import GOLDEN, RATE, SPOKEN

from ds2edge.convert.conversion import convert
from ds2edge.convert.inspection import inspect_model
from ds2edge.convert.parity.measure import Parity, measure
from ds2edge.convert.parity.memory import peak_memory
from ds2edge.convert.parity.report import html, markdown, to_json, write_report
from ds2edge.convert.parity.trace import Stage, StreamTracer
from ds2edge.convert.parity.word_changes import ChangedClip, WordPair, compare_texts
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.network import Network
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import attach_specification
from ds2edge.train.data.manifest import Clip, write_manifest
from ds2edge.train.data.text import normalise

STAGES = ["conv0", "conv1", "gru0_h", "gru1_h", "lookahead", "logits"]
SPEECH = next(iter(SPOKEN.values()))
ARMV7 = GOLDEN.with_name("mini-armv7.tflite")


@pytest.fixture(scope="module")
def clips(mini_clips):
    return [clip for clip in mini_clips if clip.split == "test"][:5]


@pytest.fixture(scope="module")
def bad_model(tiny_run, tmp_path_factory):
    """The tiny run with other weights, which says that it is of the same epoch."""
    model = tiny_run.best_model()
    for weight in model.weights:
        weight.assign(weight * 1.5)
    folder = tmp_path_factory.mktemp("bad")
    other = type(tiny_run).create(folder / "run", tiny_run.recipe, tiny_run.specification)
    other.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    convert(other.folder, "float32", [], folder / "bad.tflite", chunk_steps=4)
    return folder / "bad.tflite"


@pytest.fixture(scope="module")
def seven_steps(tiny_run, tmp_path_factory):
    """The tiny run in another chunk than `tiny_model`."""
    path = tmp_path_factory.mktemp("seven") / "seven.tflite"
    convert(tiny_run.folder, "float32", [], path, chunk_steps=7)
    return path


@pytest.fixture(scope="module")
def parity(tiny_model, tiny_int8, bad_model, clips) -> Parity:
    """A perfect copy, an int8 model and a bad one."""
    return measure(tiny_model, [tiny_model, tiny_int8, bad_model], clips, max_wer_increase=1000)


def with_specification(model, path, specification):
    """A copy of a model with another specification inside."""
    flatbuffer = model.read_bytes()
    path.write_bytes(flatbuffer[: flatbuffer.rindex(b"PK\x03\x04")])
    attach_specification(path, specification)
    return path


class Page(HTMLParser):
    """Tags with their attributes, and all text, of an HTML page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_model_is_at_parity_with_itself(parity):
    same = parity.comparisons[0]
    assert (same.wer_increase, same.wer_increase_interval, same.frame_agreement) == (0, (0, 0), 100)
    assert same.signal_to_noise == dict.fromkeys(STAGES)
    assert same.drops == {}
    assert same.size_ratio == 1
    assert not same.changed
    assert same.model.wer_interval == parity.reference.wer_interval
    assert same.model.peak_memory == pytest.approx(parity.reference.peak_memory, rel=0.2)


def test_figures_are_those_of_the_texts(mini_clips):
    clips = [clip for clip in mini_clips if clip.split == "test"][:20]
    parity = measure(GOLDEN, [ARMV7], clips, 0)
    said = [normalise(clip.text).text for clip in clips]
    for path, model in ((GOLDEN, parity.reference), (ARMV7, parity.comparisons[0].model)):
        heard = [Recognizer(path).transcribe(clip.audio).text for clip in clips]
        assert model.wer == pytest.approx(100 * jiwer.wer(said, heard))
        assert model.cer == pytest.approx(100 * jiwer.cer(said, heard))
        assert model.wer_interval[0] < model.wer < model.wer_interval[1]
        assert model.bytes == path.stat().st_size
    comparison = parity.comparisons[0]
    assert parity.words == sum(len(text.split()) for text in said)
    assert comparison.wer_increase == comparison.model.wer - parity.reference.wer
    low, high = comparison.wer_increase_interval
    assert low <= comparison.wer_increase <= high
    assert (
        high - low < comparison.model.wer_interval[1] - comparison.model.wer_interval[0]
    )  # paired: it is narrower
    assert 0 < len(comparison.changed) < 20


def test_the_gate_lets_pass_what_it_says(parity):
    for limit, failed in ((2.0, 0), (1.99, 1)):
        comparison = dataclasses.replace(parity.comparisons[1], wer_increase=2.0)
        assert (
            len(
                dataclasses.replace(parity, comparisons=[comparison], max_wer_increase=limit).failed
            )
            == failed
        )


def test_quantizing_adds_noise_and_changes_little(parity):
    int8 = parity.comparisons[1]
    assert list(int8.signal_to_noise) == STAGES
    assert all(10 < level < 60 for level in int8.signal_to_noise.values()), int8.signal_to_noise
    assert int8.drops["gru1_h"] == int8.signal_to_noise["gru0_h"] - int8.signal_to_noise["gru1_h"]
    assert 80 < int8.frame_agreement <= 100
    assert int8.size_ratio < 1
    assert int8.model.inspection.float_tensors == 0 < parity.reference.inspection.float_tensors


@pytest.mark.parametrize(
    ("levels", "noisiest", "drops"),
    [
        ((None, None, None), None, {}),
        ((40.0, 35.0, 33.0), "b", {"b": 5, "c": 2}),
        (
            (60.0, 45.0, 40.0),
            "c",
            {"b": 15, "c": 5},
        ),  # in dB the second drop is smaller, in noise larger
        ((None, 22.0, 25.0), "b", {"c": -3}),
        ((20.0, 22.0, 25.0), "a", {"b": -2, "c": -3}),
    ],
)
def test_the_stage_that_adds_most_noise_is_named(parity, levels, noisiest, drops):
    levels = dict(zip("abc", levels, strict=True))
    comparison = dataclasses.replace(parity.comparisons[0], signal_to_noise=levels)
    assert comparison.noisiest == noisiest
    assert comparison.drops == drops
    text = markdown(dataclasses.replace(parity, comparisons=[comparison]))
    assert (f": {noisiest} adds the most noise" if noisiest else ": no noise at any stage") in text
    assert (
        "the largest drop is at b: 5.0 dB" in text,
        "the largest drop is at b: 15.0 dB" in text,
    ) == (drops.get("b") == 5, drops.get("b") == 15)


def test_a_bad_model_shows_in_every_figure(parity):
    int8, bad = parity.comparisons[1:]
    assert bad.signal_to_noise["logits"] < 10 < int8.signal_to_noise["logits"]
    assert bad.frame_agreement < int8.frame_agreement
    assert bad.changed
    assert all(clip.changed for clip in bad.changed)


def test_the_noise_of_a_stage_is_that_of_its_values(tiny_model, tiny_int8, clips):
    """Computed again from what the two networks give, on a clip of one chunk and more."""
    parity = measure(tiny_model, [tiny_int8], clips[:1], 0)
    samples = read_audio(clips[0].audio, RATE)
    first, second = (StreamTracer(path).trace(samples) for path in (tiny_model, tiny_int8))
    signal, other = (trace.stages["gru1_h"].values.astype(np.float64) for trace in (first, second))
    expected = 10 * np.log10((signal**2).mean() / ((signal - other) ** 2).mean())
    assert parity.comparisons[0].signal_to_noise["gru1_h"] == pytest.approx(expected)


def test_the_chunk_changes_neither_the_logits_nor_a_state_at_the_same_step(
    tiny_model, seven_steps, clips
):
    """4 steps against 7: states meet every 28 steps; float against float has no noise worth the name."""
    parity = measure(tiny_model, [seven_steps], clips, 0)
    comparison = parity.comparisons[0]
    assert list(comparison.signal_to_noise) == STAGES
    assert all(level is None or level > 90 for level in comparison.signal_to_noise.values())
    assert comparison.frame_agreement == 100
    assert "all but the logits compared every 28 steps" in markdown(parity)


def test_stages_that_never_meet_are_said_not_to_be_compared(tiny_model, seven_steps, wav):
    clips = [Clip(wav("short.wav", 0.1), "one", 0.1, "test")]
    parity = measure(tiny_model, [seven_steps, tiny_model], clips, 0)
    comparison = parity.comparisons[0]
    assert list(comparison.signal_to_noise) == ["logits"]
    assert comparison.not_compared == STAGES[:-1]
    assert "| gru0_h | not compared | no noise |" in markdown(parity)
    assert (
        "not compared: conv0, conv1, gru0_h, gru1_h, lookahead, as no clip is long enough"
        in markdown(parity)
    )
    assert Page(html(parity)).text.count("not compared") == len(STAGES)


def test_values_are_compared_at_common_steps():
    first = Stage(np.array([4, 8, 12, 16, 20]), np.arange(5, dtype=np.float32))
    second = Stage(np.array([8, 16, 24]), np.arange(3, dtype=np.float32))
    for values, expected in zip(first.beside(second), ([1, 3], [0, 1]), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_trace_holds_what_the_runtime_says(clips):
    samples = read_audio(clips[0].audio, RATE)
    trace = StreamTracer(GOLDEN).trace(samples)
    assert trace.text == Recognizer(GOLDEN).transcribe(clips[0].audio).text
    specification = Network(GOLDEN).specification
    assert len(trace.logits.steps) == pytest.approx(
        len(samples) / RATE / specification.step_seconds, abs=2
    )
    assert trace.seconds > 0


def test_logits_that_are_no_numbers_end_the_comparison(tiny_model, clips, monkeypatch):
    monkeypatch.setattr(
        Network,
        "step",
        lambda self, frames, states: (
            np.full((self.graph.chunk_steps, 29), np.nan, np.float32),
            states,
        ),
    )
    with pytest.raises(
        QualityCheckFailed, match=r"tiny.tflite: it computes logits that are no numbers \(NaN\)"
    ):
        measure(tiny_model, [tiny_model], clips, 0)


@pytest.mark.parametrize(
    ("said", "first", "second", "pairs"),
    [
        ("two four", "two four", "two for", [("two", "two", "both"), ("four", "for", "float")]),
        ("two four", "too four", "two four", [("too", "two", "other"), ("four", "four", "both")]),
        ("two", "too", "to", [("too", "to", "neither")]),
        ("stop", "stop", "stop it", [("stop", "stop", "both"), ("", "it", "float")]),
        ("stop it", "stop", "stop it", [("stop", "stop", "both"), ("", "it", "other")]),
        ("stop it", "stop it", "stop", [("stop", "stop", "both"), ("it", "", "float")]),
        ("stop", "stop it", "stop", [("stop", "stop", "both"), ("it", "", "other")]),
        ("one two", "one", "two", [("one", "two", "both")]),
        ("stop", "", "stop", [("", "stop", "other")]),
        ("stop", "stop", "", [("stop", "", "float")]),
        ("stop", "", "step", [("", "step", "float")]),
    ],
)
def test_of_every_word_that_differs_it_is_said_who_is_right(said, first, second, pairs):
    assert compare_texts(said, first, second) == [WordPair(*pair) for pair in pairs]


def test_memory_is_that_of_the_model(clips, tiny_model, tmp_path):
    """A process that has loaded tensorflow asks for it: what counts is the fresh one."""
    golden, tiny = (peak_memory(path, clips[0].audio) for path in (GOLDEN, tiny_model))
    assert 0 < tiny < 60
    assert 0 < golden < 60


def test_a_model_that_cannot_run_alone_is_a_message(tmp_path):
    with pytest.raises(
        QualityCheckFailed,
        match=r"no.tflite: it cannot be run in a process of its own \(.*no such model",
    ):
        peak_memory(tmp_path / "no.tflite", SPEECH)


def test_what_the_delegate_does_not_take_is_named(tmp_path):
    """A sum along the way splits the graph in two."""

    class Split(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((4, 8))])
        def run(self, x):
            return tf.tanh(tf.cumsum(tf.tanh(x)))

    module = Split()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.run.get_concrete_function()], module
    )
    path = tmp_path / "split.tflite"
    path.write_bytes(converter.convert())
    inspection = inspect_model(path)
    assert inspection.operations == {"TANH": 2, "CUMSUM": 1}
    assert inspection.outside == {"CUMSUM": 1}
    assert inspection.partitions == 2


def test_a_model_of_another_epoch_is_not_compared(tiny_model, clips, tmp_path):
    facts = Network(tiny_model).specification
    stale = dataclasses.replace(facts, training=facts.training | {"best_epoch": 7})
    path = with_specification(tiny_model, tmp_path / "stale.tflite", stale)
    with pytest.raises(
        InputError,
        match=r"stale.tflite: of epoch 7 or another run, the run's best is 1: convert it",
    ):
        measure(tiny_model, [tiny_model, path], clips[:1], 0)


def test_clips_that_cannot_be_compared_are_named_and_left_out(tiny_model, clips, tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    bad = [
        Clip(clips[0].audio, "...", 1.0, "test"),
        Clip(tmp_path / "gone.wav", "one", 1.0, "test"),
        Clip(tmp_path / "empty.wav", "one", 1.0, "test"),
    ]
    parity = measure(tiny_model, [tiny_model], [*bad, clips[1]], 0)
    assert parity.clips == 1
    assert len(parity.left_out) == 3
    for problem in parity.left_out:
        assert problem in Page(html(parity)).text
        assert problem in markdown(parity)
    with pytest.raises(
        InputError, match=r"none of the 3 clips can be compared; the first: .*no letter is left"
    ):
        measure(tiny_model, [tiny_model], bad, 0)


def test_models_of_one_name_and_mode_are_told_apart_by_their_folders(tiny_model, clips, tmp_path):
    shutil.copyfile(tiny_model, tmp_path / "tiny.tflite")
    shutil.copyfile(tiny_model, tmp_path / "other.tflite")
    parity = measure(
        tiny_model, [tiny_model, tmp_path / "tiny.tflite", tmp_path / "other.tflite"], clips[:1], 0
    )
    assert [model.name for model in parity.models] == [
        "float",
        f"{tiny_model} (float32)",
        f"{tmp_path}/tiny.tflite (float32)",
        "other.tflite (float32)",
    ]


def test_the_three_reports_say_the_same(parity, tmp_path):
    parity = dataclasses.replace(parity, max_wer_increase=-1000)
    write_report(parity, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "parity.html",
        "parity.json",
        "parity.md",
    ]
    assert (tmp_path / "parity.md").read_text() == "# Parity\n\n" + markdown(parity)
    record = json.loads((tmp_path / "parity.json").read_text())
    names = [comparison.model.name for comparison in parity.comparisons]
    assert record["failed"] == names
    assert record["comparisons"][2]["changed"][0]["words"]
    assert record["comparisons"][0]["signal_to_noise"]["logits"] is None
    page = Page((tmp_path / "parity.html").read_text())
    for text in (page.text, markdown(parity)):
        for comparison in parity.comparisons:
            assert f"{comparison.frame_agreement:.2f}" in text
            assert f"{comparison.model.wer:.2f}" in text
            assert f"{comparison.model.name}: " in text
            assert f"{comparison.noisiest} adds the most noise" in text or not comparison.noisiest
        assert f"failed by {', '.join(names)}" in text
        assert "FULLY_CONNECTED" in text
    assert (
        html(parity) == (tmp_path / "parity.html").read_text()
    )  # the same figures give the same bytes


def test_the_page_is_whole_and_takes_no_text_for_html(parity):
    pair = WordPair("<b>one</b>", "two", "float")
    comparison = dataclasses.replace(
        parity.comparisons[1], changed=[ChangedClip("<i>.wav", "<u>one</u>", [pair])]
    )
    page = html(dataclasses.replace(parity, comparisons=[comparison]))
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert not {"b", "u", "script", "link"} & {tag for tag, _ in Page(page).tags}
    images = [attributes["src"] for tag, attributes in Page(page).tags if tag == "img"]
    assert len(images) == 3
    assert all(image.startswith("data:image/svg+xml;base64,") for image in images)


def test_changed_words_are_marked_by_who_is_right(parity):
    changed = [
        ChangedClip(
            "a.wav", "one two", [WordPair("one", "won", "float"), WordPair("two", "two", "both")]
        ),
        ChangedClip("b.wav", "three", [WordPair("", "three", "other")]),
    ]
    parity = dataclasses.replace(
        parity, comparisons=[dataclasses.replace(parity.comparisons[1], changed=changed)]
    )
    assert "| one two | one → won (float right) |" in markdown(parity)
    assert "| three | — → three (float wrong) |" in markdown(parity)
    assert (
        "2 clips with another text; words that changed: 1 that float alone has right, 1 that int8 alone has right"
        in markdown(parity)
    )
    marks = [
        attributes.get("class") for tag, attributes in Page(html(parity)).tags if tag == "span"
    ]
    assert marks == [
        "float",
        "other",
        "neither",
        "both",
        "float",
        None,
        "other",
    ]  # the legend, then the words


def test_a_report_without_memory_says_so(parity):
    reference = dataclasses.replace(parity.reference, peak_memory=None)
    parity = dataclasses.replace(parity, reference=reference)
    assert any(
        line.startswith("| float |") and line.endswith("| unknown |")
        for line in markdown(parity).splitlines()
    )
    assert "unknown" in Page(html(parity)).text
    assert json.loads(to_json(parity))["reference"]["peak_memory"] is None


def test_the_command_ends_with_1_past_the_gate_naming_each_and_still_reports(
    ds2edge, tiny_run, tiny_model, tiny_int8, bad_model, clips, tmp_path
):
    write_manifest(tmp_path / "m.jsonl", clips[:3])
    done = ds2edge(
        "parity",
        tiny_run.folder,
        tiny_int8,
        bad_model,
        tmp_path / "m.jsonl",
        "--report",
        tmp_path / "report",
        "--max-wer-increase",
        -1000,
    )
    assert done.returncode == 1, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: WER rose past --max-wer-increase -1000: tiny.tflite (int8) by ")
    assert " points, bad.tflite (float32) by " in error
    assert done.stdout == (tmp_path / "report" / "parity.md").read_text().removeprefix(
        "# Parity\n\n"
    )
    passed = ds2edge(
        "parity", tiny_run.folder, tiny_int8, tmp_path / "m.jsonl", "--max-wer-increase", 1000
    )
    assert passed.returncode == 0, passed.stderr
    assert "| tiny.tflite (int8) |" in passed.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["RUN", "MANIFEST"], "Missing argument 'MODEL...'"),
        (["RUN", "no.tflite", "MANIFEST"], "no.tflite: no such model file"),
        (["RUN", "MODEL", "no.jsonl"], "no.jsonl: cannot read the manifest"),
        (["RUN", "MODEL", "MANIFEST", "--report", "MANIFEST"], "cannot hold a report"),
    ],
)
def test_wrong_arguments_are_one_line(
    ds2edge, tiny_run, tiny_model, clips, tmp_path, arguments, says
):
    write_manifest(tmp_path / "m.jsonl", clips[:1])
    paths = {"RUN": tiny_run.folder, "MODEL": tiny_model, "MANIFEST": tmp_path / "m.jsonl"}
    done = ds2edge("parity", *(paths.get(argument, argument) for argument in arguments))
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
