"""Every cell and direction in every mode: the runtime computes what the Keras model computes.

Also what only bidirectional models do.
"""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import ModelT
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support import RATE, SPOKEN, jolted_run

from ds2edge.convert import INT8_MODES, MODES
from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.convert.parity.measure import measure_parity
from ds2edge.convert.parity.report import markdown
from ds2edge.convert.parity.trace import Tracer
from ds2edge.devices import bench, deploy
from ds2edge.runtime import InputError, Listener, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.listen import listen
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.network import Network
from ds2edge.runtime.specification import Graph, State
from ds2edge.runtime.whole_clip import WholeClip
from ds2edge.train.data.manifest import write_manifest
from ds2edge.train.evaluation.evaluate import evaluate
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.recipe import CELLS, DIRECTIONS

SPEECH = next(iter(SPOKEN.values()))
FAST = [("gru", "bidirectional", mode) for mode in ("float32", "int8")] + [
    ("qrnn", "forward", "int8")
]
SLOW = pytest.mark.slow
ALL = [
    pytest.param(
        *case, marks=() if case in FAST else SLOW if case[2] == "int8" else pytest.mark.long
    )
    for case in (
        (cell, direction, mode) for cell in CELLS for direction in DIRECTIONS for mode in MODES
    )
    if case[:2] != ("qrnn", "bidirectional")
]
# Lowest signal-to-noise ratio of the logits in dB.
LEAST_SNR = {
    "float32": 100,
    "float16": 50,
    "dynamic": 25,
    "int8": 15,
    "armv7": 15,
}
# Bytes per weight. Small tensors stay float in mode dynamic.
BYTES = {"float32": 4, "float16": 2, "dynamic": 3.2}
STAGES = ["convolutions", "gru0", "gru1", "logits"]


@pytest.fixture(scope="module")
def run_of(tiny_recipe, tmp_path_factory):
    """A function: cell, direction -> a run with the ranges of int8, its logits, rounded logits."""
    made, samples = {}, read_audio(SPEECH, RATE)

    def make(cell, direction):
        if (cell, direction) not in made:
            run = tiny(tiny_recipe, cell, direction, tmp_path_factory, samples)
            made[cell, direction] = run, *keras_logits(run, samples)
        return made[cell, direction]

    return make


@pytest.fixture(scope="module")
def run(tiny_recipe, tmp_path_factory):
    """A bidirectional run without ranges of int8."""
    return tiny(tiny_recipe, "gru", "bidirectional", tmp_path_factory)


@pytest.fixture(scope="module")
def models(run, mini_clips, tmp_path_factory):
    """The run as files: float32 in chunks of 4 and of 7 steps, and int8."""
    folder = tmp_path_factory.mktemp("models")
    for name, mode, chunk_steps in (
        ("four", "float32", 4),
        ("seven", "float32", 7),
        ("int8", "int8", 4),
    ):
        path = folder / f"{name}.tflite"
        convert_run(run.folder, mode, mini_clips[:6], path, chunk_steps, isolated=False)
    return {path.stem: path for path in folder.iterdir()}


def tiny(recipe, cell, direction, folders, ranges_of=None):
    model = dataclasses.replace(
        recipe.model,
        cell=cell,
        direction=direction,
        lookahead=0 if direction == "bidirectional" else 3,
        ahead=int(cell == "qrnn"),
    )
    return jolted_run(dataclasses.replace(recipe, model=model), folders.mktemp("run"), ranges_of)


def keras_logits(run, samples):
    """Logits of the whole clip: as trained, and rounded to the ranges of the run."""
    model, specification = run.best_model(), run.specification
    features = specification.front_end()
    frames = features.padded(samples, padding_of(model.settings))[None]
    inputs = {"features": frames, "lengths": np.array([frames.shape[1]], np.int32)}
    rounded = np.asarray(model.predict_on_batch(inputs))[0]
    model.round_to({})
    return np.asarray(model.predict_on_batch(inputs))[0], rounded


def constants(path):
    """Bytes of all constants in a file."""
    model = ModelT.InitFromPackedBuf(path.read_bytes())
    return sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)


def decibels(signal, other):
    """Signal-to-noise ratio of `other` in dB."""
    return 10 * np.log10((signal**2).sum() / ((signal - other) ** 2).sum())


@pytest.mark.parametrize(("cell", "direction", "mode"), ALL)
def test_the_runtime_says_what_keras_says(run_of, mini_clips, tmp_path, cell, direction, mode):
    run, expected, rounded = run_of(cell, direction)
    path = tmp_path / "m.tflite"
    # In this process: a process of its own would take longer.
    convert_run(run.folder, mode, mini_clips[:1], path, chunk_steps=4, isolated=False)
    heard = Tracer(path).trace(read_audio(SPEECH, RATE)).logits.values
    assert heard.shape == expected.shape
    assert expected.std() > 1  # or agreement would mean nothing
    if mode in INT8_MODES:  # they clip the lowest logits
        expected, rounded = (np.maximum(each, heard.min()) for each in (expected, rounded))
    assert decibels(expected, heard) > LEAST_SNR[mode]
    if mode == "float32":
        np.testing.assert_allclose(heard, expected, atol=1e-4)
    inspection = inspect_model(path)
    signatures = 6 if direction == "bidirectional" else 1
    assert inspection.graphs == signatures
    assert not set(inspection.operations) & {"WHILE", "UNPACK", "PACK", "STRIDED_SLICE", "CUSTOM"}
    if mode == "int8":
        # The rounded Keras model is nearer, because it rounds as this file does.
        assert decibels(rounded, heard) > max(28, decibels(expected, heard))
    if mode in INT8_MODES:
        assert (inspection.float_tensors, inspection.partitions) == (0, signatures)
    least = BYTES.get(mode, 1.2) * run.best_model().count_params()
    # The file holds each weight once, and a few other constants.
    assert constants(path) < least + 256


def test_neither_the_chunk_nor_the_rounding_changes_much(models, mini_clips):
    """Layers are compared step by step even if the chunks differ."""
    clips = [clip for clip in mini_clips if clip.split == "test"][:3]
    parity = measure_parity(models["four"], [models["seven"], models["int8"]], clips, 1000)
    seven, int8 = parity.comparisons
    assert list(seven.signal_to_noise) == list(int8.signal_to_noise) == STAGES
    assert all(level is None or level > 90 for level in seven.signal_to_noise.values())
    assert seven.frame_agreement == 100
    assert all(10 < level < 60 for level in int8.signal_to_noise.values()), int8.signal_to_noise
    assert int8.model.inspection.float_tensors == 0 < parity.reference.inspection.float_tensors
    assert "end together" not in markdown(parity)


def test_stages_are_those_of_the_keras_model(models, run):
    samples, model = read_audio(SPEECH, RATE), run.best_model()
    stage = Tracer(models["four"]).trace(samples).stages["gru1"]
    assert list(stage.steps) == list(range(len(stage.values)))
    last = model.norm(
        stage.values[None, model.settings.warmup :], np.ones((1, 1), bool), training=False
    )
    np.testing.assert_allclose(
        np.asarray(model.dense(last))[0], keras_logits(run, samples)[0], atol=1e-4
    )


@pytest.fixture(scope="module")
def recognizer(models):
    return Recognizer(models["int8"])


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, RATE), max_size=9))
def test_however_the_samples_come_the_result_comes_at_the_end(recognizer, cuts):
    samples = read_audio(SPEECH, RATE)[:RATE]
    whole, pieces = recognizer.stream(), recognizer.stream()
    whole.accept(samples, RATE)
    for piece in np.split(samples, sorted(cuts)):
        pieces.accept(piece, RATE)
        assert pieces.partial() == ""
    expected = whole.finish()
    assert expected.text
    assert pieces.finish() == expected
    assert pieces.partial() == expected.text


def test_nothing_heard_is_no_text(recognizer):
    assert recognizer.stream().finish().text == ""


def test_the_utterances_of_a_file_hold_all_its_words(recognizer):
    utterances = list(recognizer.utterances(SPEECH))
    text = "".join(utterance.text for utterance in utterances).replace(" ", "")
    assert text == recognizer.transcribe(SPEECH).text.replace(" ", "") != ""
    assert all(len(utterance.samples) for utterance in utterances)


def test_a_file_is_transcribed_evaluated_and_described(ds2edge, models, mini_clips, tmp_path):
    path, clips = models["int8"], [clip for clip in mini_clips if clip.split == "test"][:2]
    assert Network(path).graph.shares_weights
    done = ds2edge("transcribe", "-m", path, clips[0].audio)
    text = Recognizer(path).transcribe(clips[0].audio).text
    assert (done.returncode, done.stdout) == (0, f"{text}\n")
    write_manifest(tmp_path / "m.jsonl", clips)
    assert text in [
        transcript.hypothesis for transcript in evaluate(path, [tmp_path / "m.jsonl"], "test").clips
    ]
    card = ds2edge("info", "-m", path).stdout
    assert "int8, 4 steps of 20 ms, bidirectional: gru0, gru1\n" in card
    assert "whole recordings only: no text before the end" in card
    assert "gru1_backward_h 1x24" in card


def test_what_is_live_refuses_it_in_one_line(models):
    path = models["int8"]
    says = f"{path}: a bidirectional model needs whole clips and cannot transcribe live: "
    calls = (
        lambda: Listener(Recognizer(path)),
        lambda: bench.run_bench(path, None, 5.0, 1, GreedyDecoder),
        lambda: CliRunner().invoke(listen, ["-m", path, "--file", SPEECH], catch_exceptions=False),
        lambda: CliRunner().invoke(
            deploy.deploy, ["pi", "-m", path, "--service", "user"], catch_exceptions=False
        ),
    )
    for call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(says)


LAYERS = ("a", "b")


class Sums:
    """A network whose two layers are running sums, in both directions."""

    graph = Graph(
        mode="float32",
        chunk_steps=4,
        time_stride=2,
        warmup=0,
        lookahead=0,
        states=tuple(
            State(f"{layer}{way}_h", (1, 50), layer + way)
            for layer in LAYERS
            for way in ("", "_backward")
        ),
        layers=LAYERS,
    )

    def initial_states(self):
        return {state.name: np.zeros(state.shape, np.float32) for state in self.graph.states}

    def run(self, part, x, states):
        if part == "convolutions":
            return x[::2], states
        if part == "output":
            return x, states
        sums = states[f"{part}_h"] + np.cumsum(x, 0)
        return sums, states | {f"{part}_h": sums[-1:]}


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_the_backward_layer_begins_at_the_end_of_the_clip(steps):
    clip = WholeClip(Sums())
    rows = np.random.default_rng(0).standard_normal((steps, 50)).astype(np.float32)
    for first in range(0, steps, 4):
        chunk = rows[first : first + 4]
        frames = np.full((4, 50), 9.0, np.float32)  # frames after the end must not count
        frames[: len(chunk)] = chunk
        clip.accept(frames.repeat(2, 0), len(chunk))
    for _ in LAYERS:
        rows = np.cumsum(rows, 0) + np.cumsum(rows[::-1], 0)[::-1]
    np.testing.assert_allclose(np.concatenate(list(clip.logits())), rows, atol=1e-3)


def test_memory_grows_with_two_layers_of_activations():
    clip, chunks = WholeClip(Sums()), 2000
    tracemalloc.start()
    for _ in range(chunks):
        clip.accept(np.ones((8, 50), np.float32), 4)
    for _ in clip.logits():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    layer = chunks * 4 * 50 * 4  # bytes
    assert layer < peak < 2.5 * layer
