"""Int8 ranges and rounding, and the speech that they are calibrated on."""

import dataclasses
import logging

import keras
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from support import RATE, babble, jolt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Network
from ds2edge.train.calibration import calibrate
from ds2edge.train.calibration_clips import check_speech, choose_clips
from ds2edge.train.data.manifest import Clip
from ds2edge.train.model.cells import RECURRENT_CELLS
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.observer import METHODS, Observer
from ds2edge.train.model.quantization import (
    FLOAT,
    FakeQuantizer,
    Quantizer,
    fake_quantize,
    nudge,
)
from ds2edge.train.recipe import Augmentation, Convolution, ModelSettings

BINS = 41
CONVOLUTIONS = (Convolution(4, (5, 11), (2, 4)), Convolution(3, (3, 7), (1, 3)))
MODELS = [
    *((cell, direction) for cell in RECURRENT_CELLS for direction in ("forward", "bidirectional")),
    ("qrnn", "forward"),
]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    cell, direction = request.param
    keras.utils.set_random_seed(0)
    lookahead = 2 if direction == "forward" else 0
    ahead = int(cell == "qrnn")
    settings = ModelSettings(CONVOLUTIONS, cell, 12, 2, lookahead, 1, direction, ahead)
    built = DeepSpeech2(settings, BINS, 7)
    jolt(built)
    return built


@pytest.fixture(scope="module")
def inputs():
    features = np.random.default_rng(1).standard_normal((2, 40, BINS)).astype(np.float32)
    return {"features": features, "lengths": np.array([40, 28], np.int32)}


def test_without_rounding_the_folded_model_gives_the_same_logits(model, inputs):
    expected = np.asarray(model(inputs))
    folded = np.asarray(model.quantized(inputs, FLOAT))
    lengths = model.output_lengths(inputs["lengths"])
    for row, folded_row, steps in zip(expected, folded, lengths, strict=True):
        np.testing.assert_allclose(folded_row[:steps], row[:steps], atol=1e-4)


def test_a_model_with_ranges_rounds_a_little_and_saves_them(model, inputs, tmp_path):
    observer = Observer()
    expected = np.asarray(model.quantized(inputs, observer))
    ranges = observer.ranges("minmax")
    expected = np.maximum(expected, ranges["logits"][0])  # the lowest are clipped
    rounded = np.asarray(model.quantized(inputs, FakeQuantizer(ranges)))
    assert 0 < np.abs(rounded - expected).max() < 0.25 * np.abs(expected).max()
    model.round_to(ranges)
    try:
        np.testing.assert_allclose(np.asarray(model(inputs)), rounded, atol=1e-6)
        model.save(tmp_path / "m.keras")
    finally:
        model.round_to({})
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.ranges == ranges
    np.testing.assert_allclose(np.asarray(loaded(inputs)), rounded, atol=1e-6)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_range_has_zero_as_a_level_and_moves_less_than_a_level(one, other):
    low, high = nudge(min(one, other), max(one, other))
    scale = (high - low) / 255
    assert low <= 0 <= high
    assert abs(low / scale - round(low / scale)) < 1e-6
    assert abs(low - min(one, other, 0)) <= max(scale, 1e-6)
    assert abs(high - max(one, other, 0)) <= max(scale, 1e-6)


def test_values_are_rounded_to_levels_and_clipped_to_the_range():
    x = np.array([-3.0, -0.5, 0.0, 0.004, 0.7, 3.0], np.float32)
    np.testing.assert_allclose(
        np.asarray(fake_quantize(x, -1.0, 127 / 128)), [-1, -0.5, 0, 1 / 128, 90 / 128, 127 / 128]
    )


def test_gradients_pass_rounding_but_not_clipping():
    import tensorflow as tf

    x = tf.Variable([-3.0, -0.5, 0.3, 3.0])
    kernel = tf.Variable([[0.2, -0.7], [0.9, 0.1]])
    with tf.GradientTape(persistent=True) as tape:
        rounded = tf.reduce_sum(fake_quantize(x, -1.0, 127 / 128) * [1.0, 2.0, 3.0, 4.0])
        weighed = tf.reduce_sum(FakeQuantizer({}).weight(kernel) * [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(tape.gradient(rounded, x), [0, 2, 3, 0])
    np.testing.assert_array_equal(tape.gradient(weighed, kernel), [[1, 2], [3, 4]])


def test_percentile_and_mse_clip_rare_values():
    observer = Observer()
    values = np.random.default_rng(0).standard_normal(400_000).astype(np.float32)
    values[0] = 80.0
    observer("x", values)
    assert observer.ranges("minmax")["x"][1] == pytest.approx(80, abs=0.5)
    for method, highest in (("percentile", 6), ("mse", 60)):
        ranges = observer.ranges(method)
        assert ranges["x"][1] < highest
        assert 0 < observer.clipped(ranges)["x"] < 0.01


def test_the_lowest_logits_are_left_out():
    values = np.linspace(-100.0, 50.0, 400_000).astype(np.float32)
    observer = Observer()
    observer("logits", values)
    observer("x", values)
    for method in METHODS:
        ranges = observer.ranges(method)
        assert ranges["logits"][0] > ranges["x"][0]
        assert ranges["logits"][1] == pytest.approx(ranges["x"][1], abs=1)
        assert -100 < ranges["logits"][0] < -90
        assert observer.clipped(ranges)["logits"] < 0.001 < (values < ranges["logits"][0]).mean()


def test_units_of_the_lookahead_share_one_scale_though_their_sizes_differ():
    keras.utils.set_random_seed(0)
    settings = ModelSettings(CONVOLUTIONS, "qrnn", 12, 1, lookahead=1, ahead=1)
    model = DeepSpeech2(settings, BINS, 7)
    kernel = model.lookaheads[0].convolution.kernel
    kernel.assign(np.ones(kernel.shape) * np.geomspace(0.1, 100, 12)[:, None])
    frames = np.random.default_rng(1).standard_normal((1, 200, BINS)).astype(np.float32)
    plain = rounded_at("lookahead/scaled", model, frames) * np.asarray(model.norm.input_spread())
    model.norm.moving_mean.assign(plain.mean((0, 1)))
    model.norm.moving_variance.assign(plain.var((0, 1)))
    scaled = rounded_at("lookahead/scaled", model, frames)
    assert ratio_of_units(scaled) < 20 < 200 < ratio_of_units(plain)


def rounded_at(point: str, model: DeepSpeech2, frames: np.ndarray) -> np.ndarray:
    """What `model` would round at `point`."""
    seen = {}

    class Recorder(Quantizer):
        def __call__(self, point, x, fixed=None):
            seen[point] = np.asarray(x)
            return x

    model.quantized(whole_clip(frames), Recorder())
    return seen[point]


def ratio_of_units(rows: np.ndarray) -> float:
    """The largest size of a unit over the smallest one; `rows`: [batch, steps, units]."""
    sizes = np.abs(rows).max((0, 1))
    return sizes.max() / sizes.min()


def test_the_ranges_that_change_the_outputs_least_are_kept(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "coarse", lambda observed: (-1e3, 1e3))
    clips = [clip(tmp_path, f"{seed}.wav", babble(3.0, seed=seed)) for seed in range(4)]
    chosen = calibrate(
        tiny_run.best_model(),
        tiny_run.specification,
        clips,
        Augmentation(),
        ("coarse", "minmax"),
    )
    assert chosen.method == "minmax"
    assert 0 < chosen.divergence["minmax"] < chosen.divergence["coarse"]
    assert f"{1000 * chosen.divergence['minmax']:.2f} millinats" in chosen.summary()


def test_ranges_of_an_older_version_are_refused(inputs, tmp_path):
    settings = ModelSettings(CONVOLUTIONS, "qrnn", 12, 1, lookahead=1, ahead=1)
    model = DeepSpeech2(settings, BINS, 7)
    observer = Observer()
    model.quantized(inputs, observer)
    ranges = observer.ranges("minmax")
    ranges["lookahead"] = ranges.pop("lookahead/scaled")
    model.round_to(ranges)
    model.save(tmp_path / "old.keras")
    with pytest.raises(ValueError, match="train with --qat again"):
        keras.saving.load_model(tmp_path / "old.keras")


def clip(tmp_path, name: str, samples) -> Clip:
    soundfile.write(tmp_path / name, samples, RATE)
    return Clip(tmp_path / name, "text", len(samples) / RATE, "train")


def test_silence_is_refused_and_short_or_distorted_speech_gives_a_warning(tmp_path, caplog):
    sounds = {
        "silent": np.zeros(RATE, np.float32),
        "good": babble(40.0),
        "cut": np.clip(40 * babble(40.0), -1, 1),
    }
    clips = {name: clip(tmp_path, f"{name}.wav", samples) for name, samples in sounds.items()}

    def warnings(*names: str) -> str:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ds2edge"):
            check_speech([clips[name] for name in names], [sounds[name] for name in names], RATE)
        return caplog.text

    with pytest.raises(InputError, match="all 2 clips to calibrate on are silent"):
        warnings("silent", "silent")
    assert warnings("good") == ""
    assert "1 of 2 clips to calibrate on are silent" in warnings("good", "silent")
    assert "1 of 1 clips to calibrate on are clipped" in warnings("cut")
    sounds["good"] = babble(2.0)
    assert "only 2.0 s of speech" in warnings("good")


def test_clips_come_from_the_first_split_that_has_any(tmp_path):
    clips = [Clip(tmp_path, "x", 1.0, split) for split in ("test", "dev", "train", "train")]
    assert {clip.split for clip in choose_clips(clips, ("train", "dev"))} == {"train"}
    assert {clip.split for clip in choose_clips(clips[:2], ("train", "dev"))} == {"dev"}
    assert len(choose_clips([clips[2]] * 500, ("train",))) == 100
    with pytest.raises(InputError, match="no clip to calibrate on"):
        choose_clips([], ("train",))


def whole_clip(frames: np.ndarray) -> dict[str, np.ndarray]:
    return {"features": frames, "lengths": np.array([frames.shape[1]], np.int32)}


def test_a_run_with_ranges_converts_without_speech_as_keras_predicts(tiny_run, tmp_path):
    """The int8 file gives the logits of the rounded Keras model, chunk after chunk."""
    from ds2edge.convert.conversion import convert_run
    from ds2edge.train.pipeline.padding import padding_of
    from ds2edge.train.run import Run

    keras.utils.set_random_seed(0)
    specification = tiny_run.specification
    model = DeepSpeech2(
        tiny_run.recipe.model, specification.features.bins, len(specification.alphabet)
    )
    measure = specification.front_end()
    frames = measure.padded(babble(6.0), padding_of(model.settings))[None]
    observer = Observer()
    model.quantized(whole_clip(frames), observer)
    model.round_to(observer.ranges("minmax"))
    run = Run.create(
        tmp_path / "run", dataclasses.replace(tiny_run.recipe, name="tiny"), specification
    )
    run.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    path = tmp_path / "m.tflite"
    converted = convert_run(run.folder, "int8", [], path, chunk_steps=4, isolated=False)
    assert "ranges as trained" in converted.calibration
    logits = streamed_logits(Network(path), frames[0])
    of_file = logits[model.settings.warmup + model.settings.lookahead :]
    rounded = np.asarray(model(whole_clip(frames)))[0][: len(of_file)]
    unrounded = np.asarray(model.quantized(whole_clip(frames), FLOAT))[0][: len(of_file)]
    error = ((of_file - rounded) ** 2).sum()
    assert error < 0.7 * ((of_file - unrounded) ** 2).sum()
    assert 10 * np.log10((rounded**2).sum() / error) > 28
    assert (of_file.argmax(-1) == rounded.argmax(-1)).mean() > 0.95


def streamed_logits(network: Network, frames: np.ndarray) -> np.ndarray:
    """Logits [steps, symbols] of the whole chunks of one clip."""
    states = network.initial_states()
    size = network.graph.chunk_frames
    logits = []
    for first in range(0, len(frames) - size + 1, size):
        chunk, states = network.step(frames[first : first + size], states)
        logits.append(chunk)
    return np.concatenate(logits)
