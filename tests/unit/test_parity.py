"""Parity: the figures are right for good and bad models, and the reports show them."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import jiwer
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from click.testing import CliRunner
from support import GOLDEN, RATE, SPOKEN

from ds2edge.convert import conversion
from ds2edge.convert.commands.parity import parity as parity_command
from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.convert.parity.figures import Parity
from ds2edge.convert.parity.measure import measure_parity
from ds2edge.convert.parity.memory import model_memory
from ds2edge.convert.parity.report import html, markdown, to_json, write_report
from ds2edge.convert.parity.trace import Stage, Tracer
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
    """A model with other weights than the tiny run, but of the same epoch by its specification."""
    model = tiny_run.best_model()
    for weight in model.weights:
        weight.assign(weight * 1.5)
    folder = tmp_path_factory.mktemp("bad")
    other = type(tiny_run).create(folder / "run", tiny_run.recipe, tiny_run.specification)
    other.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    convert_run(other.folder, "float32", [], folder / "bad.tflite", 4, isolated=False)
    return folder / "bad.tflite"


@pytest.fixture(scope="module")
def seven_steps(tiny_run, tmp_path_factory):
    """The tiny run with another chunk length than `tiny_model`."""
    path = tmp_path_factory.mktemp("seven") / "seven.tflite"
    convert_run(tiny_run.folder, "float32", [], path, chunk_steps=7, isolated=False)
    return path


@pytest.fixture(scope="module")
def parity(tiny_model, tiny_int8, bad_model, clips) -> Parity:
    """The float model compared with itself, an int8 model and a bad model."""
    return measure_parity(
        tiny_model, [tiny_model, tiny_int8, bad_model], clips, max_wer_increase=1000
    )


def with_specification(model, path, specification):
    """Copies a model and puts another specification into the copy."""
    flatbuffer = model.read_bytes()
    path.write_bytes(flatbuffer[: flatbuffer.rindex(b"PK\x03\x04")])
    attach_specification(path, specification)
    return path


class Page(HTMLParser):
    """The text of an HTML page, and its tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.text = ""
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


def test_error_rates_are_those_of_the_transcripts(mini_clips):
    clips = [clip for clip in mini_clips if clip.split == "test"][:20]
    parity = measure_parity(GOLDEN, [ARMV7], clips, 0)
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
    # The paired interval is narrower.
    assert high - low < comparison.model.wer_interval[1] - comparison.model.wer_interval[0]
    assert 0 < len(comparison.changed) < 20


@pytest.mark.parametrize(("limit", "failed"), [(2.0, 0), (1.99, 1)])
def test_a_model_fails_if_its_wer_rises_by_more_than_the_limit(parity, limit, failed):
    comparison = dataclasses.replace(parity.comparisons[1], wer_increase=2.0)
    limited = dataclasses.replace(parity, comparisons=[comparison], max_wer_increase=limit)
    assert len(limited.failed) == failed


def test_quantization_adds_noise_and_changes_little(parity):
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
        # The second drop is smaller in dB, but adds more noise.
        ((60.0, 45.0, 40.0), "c", {"b": 15, "c": 5}),
        ((None, 22.0, 25.0), "b", {"c": -3}),
        ((20.0, 22.0, 25.0), "a", {"b": -2, "c": -3}),
    ],
)
def test_the_report_names_the_stage_that_adds_most_noise(parity, levels, noisiest, drops):
    levels = dict(zip("abc", levels, strict=True))
    comparison = dataclasses.replace(parity.comparisons[0], signal_to_noise=levels)
    assert comparison.noisiest == noisiest
    assert comparison.drops == drops
    text = markdown(dataclasses.replace(parity, comparisons=[comparison]))
    assert (f": {noisiest} adds the most noise" if noisiest else ": no noise at any stage") in text
    for drop in (5, 15):
        assert (f"the largest drop is at b: {drop}.0 dB" in text) == (drops.get("b") == drop)


def test_a_bad_model_shows_in_every_figure(parity):
    int8, bad = parity.comparisons[1:]
    assert bad.signal_to_noise["logits"] < 10 < int8.signal_to_noise["logits"]
    assert bad.frame_agreement < int8.frame_agreement
    assert bad.changed
    assert all(clip.changed for clip in bad.changed)


def test_the_signal_to_noise_ratio_of_a_stage_follows_from_its_values(tiny_model, tiny_int8, clips):
    """It is computed again from the traces of two networks, on a clip of several chunks."""
    parity = measure_parity(tiny_model, [tiny_int8], clips[:1], 0)
    samples = read_audio(clips[0].audio, RATE)
    first, second = (Tracer(path).trace(samples) for path in (tiny_model, tiny_int8))
    signal, other = (trace.stages["gru1_h"].values.astype(np.float64) for trace in (first, second))
    expected = 10 * np.log10((signal**2).mean() / ((signal - other) ** 2).mean())
    assert parity.comparisons[0].signal_to_noise["gru1_h"] == pytest.approx(expected)


def test_the_chunk_length_changes_neither_logits_nor_states(tiny_model, seven_steps, clips):
    """Chunks of 4 and 7 steps end together every 28 steps."""
    parity = measure_parity(tiny_model, [seven_steps], clips, 0)
    comparison = parity.comparisons[0]
    assert list(comparison.signal_to_noise) == STAGES
    assert all(level is None or level > 90 for level in comparison.signal_to_noise.values())
    assert comparison.frame_agreement == 100
    assert "all stages but the logits are compared every 28 steps" in markdown(parity)


def test_reports_name_the_stages_that_could_not_be_compared(tiny_model, seven_steps, wav):
    clips = [Clip(wav("short.wav", 0.1), "one", 0.1, "test")]
    parity = measure_parity(tiny_model, [seven_steps, tiny_model], clips, 0)
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
    for values, expected in zip(first.at_common_steps(second), ([1, 3], [0, 1]), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_trace_holds_the_text_of_the_recogniser(clips):
    samples = read_audio(clips[0].audio, RATE)
    trace = Tracer(GOLDEN).trace(samples)
    assert trace.text == Recognizer(GOLDEN).transcribe(clips[0].audio).text
    specification = Network(GOLDEN).specification
    assert len(trace.logits.steps) == pytest.approx(
        len(samples) / RATE / specification.step_seconds, abs=2
    )
    assert trace.seconds > 0


def test_logits_that_are_not_numbers_end_the_comparison(tiny_model, clips, monkeypatch):
    def step(self, frames, states):
        return np.full((self.graph.chunk_steps, 29), np.nan, np.float32), states

    monkeypatch.setattr(Network, "step", step)
    message = r"tiny.tflite: it computes logits that are not numbers \(NaN\)"
    with pytest.raises(QualityCheckFailed, match=message):
        measure_parity(tiny_model, [tiny_model], clips, 0)


@pytest.mark.parametrize(
    ("reference", "float_text", "other_text", "pairs"),
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
def test_each_word_pair_says_which_model_is_right(reference, float_text, other_text, pairs):
    assert compare_texts(reference, float_text, other_text) == [WordPair(*pair) for pair in pairs]


def test_memory_is_measured_in_a_new_process(clips, tiny_model, tmp_path):
    """This process has loaded tensorflow, which must not count."""
    golden, tiny = (model_memory(path, clips[0].audio) for path in (GOLDEN, tiny_model))
    assert 0 < tiny < 60
    assert 0 < golden < 60


def test_a_model_that_cannot_be_run_is_a_failed_check(tmp_path):
    with pytest.raises(
        QualityCheckFailed,
        match=r"no.tflite: it cannot be run in a process of its own \(.*no such model",
    ):
        model_memory(tmp_path / "no.tflite", SPEECH)


def test_operations_outside_the_delegate_are_counted(tmp_path):
    """The delegate has no CUMSUM, which splits the graph in two."""

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


@pytest.fixture(scope="module")
def stale_model(tiny_model, tmp_path_factory):
    """A model that its specification says is of another epoch."""
    facts = Network(tiny_model).specification
    stale = dataclasses.replace(facts, training=facts.training | {"best_epoch": 7})
    return with_specification(tiny_model, tmp_path_factory.mktemp("stale") / "stale.tflite", stale)


def test_a_model_of_another_epoch_is_not_compared(tiny_model, stale_model, clips):
    message = r"stale.tflite: made from epoch 7 or from another run; the run's best epoch is 1"
    with pytest.raises(InputError, match=message):
        measure_parity(tiny_model, [tiny_model, stale_model], clips[:1], 0)


def test_clips_that_cannot_be_compared_are_left_out_and_named(tiny_model, clips, tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    bad = [
        Clip(clips[0].audio, "...", 1.0, "test"),
        Clip(tmp_path / "gone.wav", "one", 1.0, "test"),
        Clip(tmp_path / "empty.wav", "one", 1.0, "test"),
    ]
    parity = measure_parity(tiny_model, [tiny_model], [*bad, clips[1]], 0)
    assert parity.clips == 1
    assert len(parity.left_out) == 3
    for problem in parity.left_out:
        assert problem in Page(html(parity)).text
        assert problem in markdown(parity)
    with pytest.raises(
        InputError, match=r"none of the 3 clips can be compared; the first: .*no letter is left"
    ):
        measure_parity(tiny_model, [tiny_model], bad, 0)


def test_models_with_the_same_name_and_mode_are_named_by_their_paths(tiny_model, clips, tmp_path):
    shutil.copyfile(tiny_model, tmp_path / "tiny.tflite")
    shutil.copyfile(tiny_model, tmp_path / "other.tflite")
    parity = measure_parity(
        tiny_model, [tiny_model, tmp_path / "tiny.tflite", tmp_path / "other.tflite"], clips[:1], 0
    )
    assert [model.name for model in parity.models] == [
        "float",
        f"{tiny_model} (float32)",
        f"{tmp_path}/tiny.tflite (float32)",
        "other.tflite (float32)",
    ]


def test_the_three_reports_agree(parity, tmp_path):
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
    # The same figures give the same bytes.
    assert html(parity) == (tmp_path / "parity.html").read_text()


def test_the_page_needs_no_other_file_and_escapes_all_text(parity):
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


def test_changed_words_are_marked_by_which_model_is_right(parity):
    one = [WordPair("one", "won", "float"), WordPair("two", "two", "both")]
    three = [WordPair("", "three", "other")]
    changed = [ChangedClip("a.wav", "one two", one), ChangedClip("b.wav", "three", three)]
    comparison = dataclasses.replace(parity.comparisons[1], changed=changed)
    parity = dataclasses.replace(parity, comparisons=[comparison])
    text = markdown(parity)
    assert "| one two | one → won (float right) |" in text
    assert "| three | — → three (float wrong) |" in text
    assert "2 clips with a different text; changed words: " in text
    assert "words: 1 where only float is right, 1 where only int8 is right\n" in text
    spans = [attributes for tag, attributes in Page(html(parity)).tags if tag == "span"]
    legend = ["float", "other", "neither", "both"]
    assert [span.get("class") for span in spans] == [*legend, "float", None, "other"]


def test_a_report_without_memory_says_so(parity):
    reference = dataclasses.replace(parity.reference, peak_memory=None)
    parity = dataclasses.replace(parity, reference=reference)
    assert any(
        line.startswith("| float |") and line.endswith("| unknown |")
        for line in markdown(parity).splitlines()
    )
    assert "unknown" in Page(html(parity)).text
    assert json.loads(to_json(parity))["reference"]["peak_memory"] is None


def test_the_command_fails_past_the_limit_and_still_reports(
    ds2edge, tiny_run, tiny_model, tiny_int8, bad_model, clips, tmp_path
):
    write_manifest(tmp_path / "m.jsonl", clips[:3])
    common = ("parity", tiny_run.folder, tmp_path / "m.jsonl", "-m", tiny_int8)
    report = tmp_path / "report"
    done = ds2edge(*common, "-m", bad_model, "-o", report, "--max-wer-increase", -1000)
    assert done.returncode == 1, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: WER rose by more than --max-wer-increase -1000: ")
    assert ": tiny.tflite (int8) by " in error
    assert " points, bad.tflite (float32) by " in error
    assert done.stdout == (report / "parity.md").read_text().removeprefix("# Parity\n\n")
    passed = ds2edge(*common, "--max-wer-increase", 1000)
    assert passed.returncode == 0, passed.stderr
    assert "| tiny.tflite (int8) |" in passed.stdout


@pytest.fixture
def no_conversion(monkeypatch):
    """Fails the test if a conversion starts: bad input must be refused before."""

    def fail(*_, **__):
        raise AssertionError("a conversion was started")

    monkeypatch.setattr(conversion, "convert_run", fail)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "MANIFEST", "-m", "MODEL"], "nowhere: not a run of `ds2edge train`"),
        (["RUN", "MANIFEST", "-m", "no.tflite"], "no.tflite: no such model file"),
        (
            ["RUN", "MANIFEST", "-m", "STALE"],
            "made from epoch 7 or from another run; the run's best epoch is 1",
        ),
        (["RUN", "no.jsonl", "-m", "MODEL"], "no.jsonl: cannot be read"),
        (["RUN", "MANIFEST", "-m", "MODEL", "-o", "MANIFEST"], "cannot be written"),
    ],
)
def test_bad_input_is_refused_before_the_conversion(
    no_conversion, tiny_run, tiny_model, stale_model, clips, tmp_path, arguments, message
):
    manifest = tmp_path / "m.jsonl"
    write_manifest(manifest, clips[:1])
    paths = {"RUN": tiny_run.folder, "MODEL": tiny_model, "STALE": stale_model}
    paths["MANIFEST"] = manifest
    words = [str(paths.get(argument, argument)) for argument in arguments]
    with pytest.raises(InputError, match=re.escape(message)):
        parity_command.main(words, standalone_mode=False)


def test_at_least_one_model_must_be_given(tiny_run):
    done = CliRunner().invoke(parity_command, [str(tiny_run.folder), "m.jsonl"])
    assert done.exit_code == 2
    assert "Missing option '-m' / '--model'" in done.output
