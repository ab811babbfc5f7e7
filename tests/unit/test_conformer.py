"""The conformer: attention sees what it should, and streams compute what whole clips compute."""

import dataclasses
import tracemalloc

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import ops
from support import GOLDEN, RATE, SPOKEN, jolt, jolted_run

from ds2edge.convert import INT8_MODES, MODES
from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.convert.parity.trace import Tracer
from ds2edge.runtime import Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features
from ds2edge.runtime.network import Network
from ds2edge.runtime.stream import Stream
from ds2edge.train.calibration import calibrate
from ds2edge.train.data.manifest import Clip
from ds2edge.train.model.attention import LIMIT, AttentionLayer
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.observer import Observer
from ds2edge.train.model.quantization import FLOAT, FakeQuantizer
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.recipe import Augmentation, Convolution, ModelSettings, read_recipe

BINS, SYMBOLS = 41, 7
CONVOLUTIONS = (Convolution(4, (5, 11), (2, 2)), Convolution(3, (3, 6), (1, 3)))
SHAPES = [  # chunk, context, heads, kernel, lookahead, depth
    (6, 4, 3, 5, 0, 1),  # the context is shorter than a chunk
    (4, 8, 2, 3, 2, 2),
    (3, 7, 12, 9, 5, 1),  # the context is no multiple of the chunk
    (1, 1, 1, 1, 0, 1),
]
WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]  # each example takes long
SPEECH = next(iter(SPOKEN.values()))
# Lowest signal-to-noise ratio of the logits in dB.
LEAST_SNR = {"float32": 100, "float16": 50, "dynamic": 25, "int8": 15, "armv7": 12}


def settings_of(chunk, context, heads, kernel, lookahead, depth):
    return ModelSettings(
        CONVOLUTIONS,
        width=12,
        depth=depth,
        lookahead=lookahead,
        warmup=1,
        encoder="conformer",
        heads=heads,
        chunk=chunk,
        context=context,
        kernel=kernel,
    )


def build(shape=SHAPES[0]) -> DeepSpeech2:
    keras.utils.set_random_seed(0)
    model = DeepSpeech2(settings_of(*shape), BINS, SYMBOLS)
    jolt(model)
    return model


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def whole(model: DeepSpeech2, features: np.ndarray) -> np.ndarray:
    lengths = np.full(len(features), features.shape[1], np.int32)
    return np.asarray(model({"features": features, "lengths": lengths}))


def attention(chunk: int, context: int) -> AttentionLayer:
    layer = AttentionLayer(12, 3, chunk, context, 0.0, name="a")
    layer.build((None, None, 12))
    jolt(layer)
    return layer


def project(dense, x: np.ndarray) -> np.ndarray:
    return np.asarray(dense(x, valid=np.ones(x.shape[:2], bool)))


@pytest.mark.parametrize(("chunk", "context"), [(4, 8), (5, 3), (3, 7), (1, 1)])
def test_attention_is_the_sum_over_its_chunk_and_context(chunk, context):
    """Against the formula of the docstring, one step and one head after the other."""
    layer, x = attention(chunk, context), noise(2, 17, 12)
    q, k, v = (
        project(d, x).reshape(2, 17, 3, 4) for d in (layer.queries, layer.keys, layer.values)
    )
    y = np.zeros_like(q)
    for t in range(17):
        first = t - t % chunk
        seen = slice(max(0, first - context), first + chunk)
        weights = np.maximum(np.einsum("bhd,bshd->bhs", q[:, t], k[:, seen]), 0)
        y[:, t] = np.einsum("bhs,bshd->bhd", weights, v[:, seen]) / (context + chunk) / np.sqrt(4)
    expected = x + project(layer.output_dense, y.reshape(2, 17, 12))
    found = layer(ops.convert_to_tensor(x), valid=np.ones((2, 17), bool))
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)
    assert np.abs(expected - x - project(layer.output_dense, 0 * x)).max() > 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_give_the_logits_of_the_whole_sequence(shape):
    model, chunk = build(shape), shape[0]
    stride = model.settings.time_stride
    features = noise(1, 12 * chunk * stride, BINS)
    expected = whole(model, features)
    assert expected.std() > 0.05  # agreement of constants would prove nothing
    rng = np.random.default_rng(0)
    for cuts in ([], range(1, 12), sorted(rng.choice(range(1, 12), 3, replace=False))):
        states = {name: np.zeros(shape, np.float32) for name, shape in model.state_shapes().items()}
        logits = []
        for piece in np.split(features, [cut * chunk * stride for cut in cuts], axis=1):
            y, states = model.step(ops.convert_to_tensor(piece), states)
            logits.append(np.asarray(y))
        streamed = np.concatenate(logits, 1)[:, model.settings.warmup + model.settings.delay :]
        np.testing.assert_allclose(streamed, expected, atol=1e-4)


def test_other_clips_of_the_batch_change_neither_logits_nor_statistics():
    """Clips of whole chunks, as the padding makes them."""
    model = build()
    features = noise(2, 48, BINS)
    inputs = {"features": features, "lengths": np.array([48, 48], np.int32)}
    padded = {
        "features": np.pad(features, ((0, 0), (0, 24), (0, 0)), constant_values=9.0),
        "lengths": inputs["lengths"],
    }
    weights = model.get_weights()
    for training in (False, True):
        logits, statistics = [], []
        for batch in (inputs, padded):
            model.set_weights(weights)
            logits.append(np.asarray(model(batch, training=training))[:, :11])
            statistics.append(np.concatenate([np.ravel(n.moving_variance) for n in model.norms()]))
        np.testing.assert_allclose(logits[1], logits[0], atol=1e-4)
        np.testing.assert_allclose(statistics[1], statistics[0], rtol=1e-4)
    assert len(list(model.norms())) == 2 + 1 + (1 + 4 + 2 + 1) + 1


@pytest.mark.parametrize("training", [False, True])
def test_steps_that_no_norm_bounds_stay_finite(training):
    """A training of 34 h ended in its padding: each attention raised it to the third power."""
    model = build((*SHAPES[0][:-1], 8))
    features = np.pad(noise(1, 24, BINS), ((0, 0), (0, 72), (0, 0)), constant_values=1e4)
    inputs = {"features": features, "lengths": np.array([24], np.int32)}
    assert np.isfinite(np.asarray(model(inputs, training=training))).all()
    states = {name: np.zeros(shape, np.float32) for name, shape in model.state_shapes().items()}
    logits, states = model.step(ops.convert_to_tensor(features), states)
    assert all(np.isfinite(np.asarray(x)).all() for x in (logits, *states.values()))


def test_ranges_end_where_the_attention_clips():
    layer = attention(4, 8)
    observer = Observer()
    layer.quantized(ops.convert_to_tensor(1e3 * noise(1, 17, 12)), np.ones((1, 17)), observer)
    ranges = observer.ranges("minmax")
    limits = {"queries": layer.scale * LIMIT, "keys": LIMIT, "values": LIMIT}
    for point, limit in limits.items():
        low, high = ranges[f"a/{point}"]
        assert limit * 0.99 < max(-low, high) < limit * 1.02


def test_without_rounding_the_folded_model_gives_the_same_logits_and_with_it_nearly():
    model = build()
    inputs = {"features": noise(2, 32, BINS), "lengths": np.array([32, 32], np.int32)}
    expected = np.asarray(model(inputs))
    np.testing.assert_allclose(model.quantized(inputs, FLOAT), expected, atol=1e-4)
    observer = Observer()
    model.quantized(inputs, observer)
    rounded = np.asarray(model.quantized(inputs, FakeQuantizer(observer.ranges("minmax"))))
    assert 0 < np.abs(rounded - expected).max() < 0.25 * np.abs(expected).max()


def test_a_saved_model_is_loaded_unchanged(tmp_path):
    model = build()
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    features = noise(1, 32, BINS)
    np.testing.assert_array_equal(whole(loaded, features), whole(model, features))
    assert loaded.settings == model.settings


@pytest.fixture(scope="module")
def run(tiny_recipe, tmp_path_factory):
    """A run with random weights and with ranges of int8. The chunk is 6 steps."""
    model = dataclasses.replace(
        settings_of(*SHAPES[0]), convolutions=tiny_recipe.model.convolutions, width=24, warmup=4
    )
    recipe = dataclasses.replace(tiny_recipe, model=model)
    return jolted_run(recipe, tmp_path_factory.mktemp("run"), read_audio(SPEECH, RATE))


@pytest.fixture(scope="module")
def float_network(run, tmp_path_factory):
    """The run as a float32 file. It computes two chunks of the attention at once."""
    path = tmp_path_factory.mktemp("model") / "m.tflite"
    convert_run(run.folder, "float32", [], path, chunk_steps=12, isolated=False)
    return Network(path)


@pytest.fixture(scope="module")
def models(run):
    """The model of the run, by whether it rounds as int8 does."""
    unrounded = run.best_model()
    unrounded.round_to({})
    return {True: run.best_model(), False: unrounded}


def test_no_silence_longer_than_in_training_widens_the_ranges(run, tmp_path, wav, monkeypatch):
    """The batch norms of a conformer have not seen it. A recurrent model hears it, too."""
    heard = []
    padded = Features.padded

    def record(self, samples, padding):
        heard.append(samples)
        return padded(self, samples, padding)

    monkeypatch.setattr(Features, "padded", record)
    lengths = (0.5, 1.5)
    clips = [Clip(wav(f"{s}.wav", seconds=s), "yes", s, "train") for s in lengths]
    model = run.best_model()
    model.round_to({})
    calibrate(model, run.specification, clips, Augmentation(), ("minmax",))
    assert all(samples[-RATE // 10 :].any() for samples in heard[:2])


def keras_logits(run, model, samples):
    """Logits [steps, symbols] of a whole clip."""
    frames = run.specification.front_end().padded(samples, padding_of(model.settings))
    return whole(model, frames[None])[0]


class Logits:
    """A decoder that keeps the logits."""

    def __init__(self):
        self.chunks = []

    def accept(self, logits):
        self.chunks.append(logits)

    def final_words(self):
        return []

    def meaning(self, text):
        return None


@settings(max_examples=8, deadline=None, phases=WITHOUT_SHRINKING)
@given(length=st.integers(1, 2 * RATE), cuts=st.lists(st.integers(0, 2 * RATE), max_size=8))
def test_a_stream_gives_the_logits_of_the_whole_clip(run, models, float_network, length, cuts):
    """At every length and every cut, from the first step to the last."""
    samples = read_audio(SPEECH, RATE)[:length]
    logits = Logits()
    stream = Stream(float_network, logits)
    for piece in np.split(samples, sorted(min(cut, length) for cut in cuts)):
        stream.accept(piece, RATE)
    stream.finish()
    expected = keras_logits(run, models[False], samples)
    found = np.concatenate(logits.chunks)
    scale = expected.std()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(mode, marks=() if mode == "int8" else pytest.mark.slow)
        for mode in MODES
        if mode != "float32"
    ],
)
def test_every_mode_says_what_keras_says(run, models, tmp_path, mode):
    path = tmp_path / "m.tflite"
    convert_run(run.folder, mode, [], path, chunk_steps=6, isolated=False)
    samples = read_audio(SPEECH, RATE)
    found = Tracer(path).trace(samples).logits.values
    expected = keras_logits(run, models[False], samples)
    assert found.shape == expected.shape
    assert decibels(expected, found) > LEAST_SNR[mode]
    inspection = inspect_model(path)
    assert inspection.operations["BATCH_MATMUL"] == 2
    if mode in INT8_MODES:
        assert (inspection.float_tensors, inspection.partitions, inspection.outside) == (0, 1, {})
    if mode == "int8":
        # The rounded Keras model is nearer, because it rounds as this file does.
        rounded = keras_logits(run, models[True], samples)
        assert decibels(rounded, found) > max(28, decibels(expected, found))


class Discard(Logits):
    """A decoder that keeps nothing."""

    def accept(self, logits):
        pass


def test_a_trained_model_says_words_and_a_long_stream_takes_no_more_memory():
    recognizer = Recognizer(GOLDEN.with_name("mini-conformer.tflite"))
    for text in ("turn down the radio", "seven one two five"):
        assert recognizer.transcribe(SPOKEN[text]).text == text
    stream = Stream(recognizer.network, Discard())
    second = read_audio(SPEECH, RATE)[:RATE]
    tracemalloc.start()
    sizes = []
    for _ in range(2):
        for _ in range(60):
            stream.accept(second, RATE)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] < sizes[0] + 10_000  # the sound of the second minute has 3.8 MB


def decibels(signal, other):
    """Signal-to-noise ratio of `other` in dB."""
    return 10 * np.log10((signal**2).sum() / ((signal - other) ** 2).sum())


def test_a_chunk_that_does_not_fit_the_attention_is_refused(run, tmp_path):
    says = r"its attention works on chunks of 6 steps: give --chunk-steps 6 or a multiple, not 16"
    with pytest.raises(InputError, match=says):
        convert_run(run.folder, "float32", [], tmp_path / "m.tflite", 16)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("heads = 5", "heads (5) must divide width (96)"),
        ("context = 0", "context (0) must be at least 1"),
        ("chunk = 0", "chunk (0) must be at least 1"),
        ("chunk = 257", "chunk (257) must be at most 256, the longest --chunk-steps"),
        ("kernel = 0", "kernel (0) must be at least 1"),
        ("chunk = 2.5", "chunk: expected int, got 2.5"),
        ('encoder = "transformer"', "encoder 'transformer' is none of recurrent, conformer"),
        ('encoder = "recurrent"', "context belongs to encoder 'conformer', not to 'recurrent'"),
        ('cell = "lstm"', "cell belongs to encoder 'recurrent', not to 'conformer'"),
        ('direction = "bidirectional"', "direction belongs to encoder 'recurrent'"),
        ("ahead = 1", "ahead belongs to encoder 'recurrent'"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(tmp_path, line, says):
    text = read_shipped("mini-conformer")
    name = line.split(" = ")[0]
    kept = [other for other in text.splitlines() if not other.startswith(f"{name} = ")]
    kept.insert(kept.index("[model]") + 1, line)
    (tmp_path / "wrong.toml").write_text("\n".join(kept))
    with pytest.raises(InputError) as caught:
        read_recipe(tmp_path / "wrong.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def read_shipped(name: str) -> str:
    from ds2edge.train.recipe_files import shipped_recipes

    return shipped_recipes()[name].read_text("utf-8")
