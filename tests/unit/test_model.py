"""The model: chunks give the logits of the whole sequence, and padding changes nothing."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from support import jolt

from ds2edge.train.model.cells import RECURRENT_CELLS
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import SequenceNorm
from ds2edge.train.model.scan import scan
from ds2edge.train.recipe import CELLS, Convolution, ModelSettings

BINS, SYMBOLS = 41, 7
SHAPES = {
    "two convolutions": ((Convolution(4, (5, 11), (2, 2)), Convolution(3, (3, 6), (1, 3))), 4),
    "kernel as long as its stride": ((Convolution(4, (3, 5), (3, 2)),), 2),
    "no lookahead": ((Convolution(4, (4, 5), (2, 2)),), 0),
    "lookahead longer than a chunk": ((Convolution(4, (4, 5), (2, 2)),), 9),
}


def noise(batch: int, steps: int, width: int = BINS) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((batch, steps, width)).astype(np.float32)


def build(cell: str, shape: str, ahead: int = 0) -> DeepSpeech2:
    convolutions, lookahead = SHAPES[shape]
    keras.utils.set_random_seed(0)
    settings = ModelSettings(convolutions, cell, 12, 2, lookahead, warmup=1, ahead=ahead)
    model = DeepSpeech2(settings, BINS, SYMBOLS)
    jolt(model)
    return model


def whole(model: DeepSpeech2, features: np.ndarray) -> np.ndarray:
    """The logits of clips without padding."""
    lengths = np.full(len(features), features.shape[1], np.int32)
    return np.asarray(model({"features": features, "lengths": lengths}, training=False))


def stepped(model: DeepSpeech2, features: np.ndarray, chunk_steps: int) -> np.ndarray:
    """The logits of one clip, computed chunk by chunk."""
    states = {name: np.zeros(shape, np.float32) for name, shape in model.state_shapes().items()}
    size = chunk_steps * model.settings.time_stride
    logits = []
    for first in range(0, features.shape[1], size):
        chunk, states = model.step(ops.convert_to_tensor(features[:, first : first + size]), states)
        logits.append(np.asarray(chunk))
    return np.concatenate(logits, 1)[:, model.settings.warmup + model.settings.delay :]


def test_every_cell_that_a_recipe_may_name_exists():
    assert {*RECURRENT_CELLS, "qrnn"} == set(CELLS)


@pytest.mark.parametrize(
    ("cell", "ahead"), [*((cell, 0) for cell in CELLS), ("qrnn", 1), ("qrnn", 2)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_give_the_logits_of_the_whole_sequence(cell, ahead, shape):
    model = build(cell, shape, ahead)
    features = noise(1, 36 * model.settings.time_stride)
    expected = whole(model, features)
    assert expected.std() > 0.05  # agreement of constants would prove nothing
    for chunk_steps in (1, 4, 9, 36):
        np.testing.assert_allclose(stepped(model, features, chunk_steps), expected, atol=1e-4)


def test_padding_changes_neither_logits_nor_statistics():
    model = build("gru", "two convolutions")
    features = noise(2, 40)
    inputs = {"features": features, "lengths": np.array([40, 40], np.int32)}
    padded = {
        "features": np.pad(features, ((0, 0), (0, 24), (0, 0)), constant_values=9.0),
        "lengths": inputs["lengths"],
    }
    np.testing.assert_allclose(
        np.asarray(model(padded))[:, :15], np.asarray(model(inputs)), atol=1e-5
    )
    logits = []
    variances = []
    for batch in (inputs, padded):  # training uses, and updates, the statistics of the batch
        trained = build("gru", "two convolutions")
        logits.append(np.asarray(trained(batch, training=True))[:, :15])
        variances.append(np.asarray(trained.recurrences[0].norm.moving_variance))
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-4)
    np.testing.assert_allclose(variances[1], variances[0], rtol=1e-5)


def test_statistics_of_several_devices_are_computed_as_those_of_one():
    """On one device the synchronised form must give the same outputs and statistics."""
    x = noise(2, 9) * np.linspace(1, 3, BINS, dtype=np.float32) + 1
    valid = np.arange(9) < np.array([[9], [5]])
    results = []
    for synchronized in (False, True):
        norm = SequenceNorm()
        norm.build(x.shape)
        norm.synchronized = synchronized
        y = norm(ops.convert_to_tensor(x), valid=valid, training=True)
        results.append([np.asarray(value) for value in (y, *norm.weights)])
    for plain, synchronised in zip(*results, strict=True):
        np.testing.assert_allclose(synchronised, plain, atol=1e-4)


@pytest.mark.parametrize(("cell", "ahead"), [("gru", 0), ("qrnn", 0), ("qrnn", 1)])
def test_no_output_depends_on_frames_beyond_the_lookahead(cell, ahead):
    model = build(cell, "two convolutions", ahead)
    features = noise(1, 40)
    changed = features.copy()
    changed[:, 20:] += 1
    # The first output whose lookahead reaches the change.
    first = 20 // model.settings.time_stride - model.settings.delay - model.settings.warmup
    np.testing.assert_allclose(
        whole(model, changed)[:, :first], whole(model, features)[:, :first], atol=1e-5
    )
    assert np.abs(whole(model, changed)[:, first] - whole(model, features)[:, first]).max() > 1e-5


def test_the_loss_uses_the_real_lengths():
    model = build("gru", "no lookahead")
    features = noise(1, 20)
    targets = {"labels": np.array([[2, 3, 0]], np.int32), "label_lengths": np.array([2], np.int32)}
    inputs = {"features": features, "lengths": np.array([20], np.int32)}
    padded = {"features": np.pad(features, ((0, 0), (0, 30), (0, 0))), "lengths": inputs["lengths"]}
    losses = [float(model.compute_loss(x, targets, model(x))) for x in (inputs, padded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] > 0


@pytest.mark.parametrize("cell", ["lstm", "qrnn"])
def test_a_saved_model_is_loaded_unchanged(tmp_path, cell):
    model = build(cell, "two convolutions")
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    features = noise(1, 20)
    np.testing.assert_array_equal(whole(loaded, features), whole(model, features))
    assert dataclasses.asdict(loaded.settings) == dataclasses.asdict(model.settings)


@pytest.fixture(scope="module", params=["gru", "lstm"])
def bidirectional(request):
    convolutions, _ = SHAPES["two convolutions"]
    settings = ModelSettings(convolutions, request.param, 12, 2, 0, 0, "bidirectional")
    model = DeepSpeech2(settings, BINS, SYMBOLS)
    jolt(model)
    return model


def test_a_bidirectional_model_uses_the_future_and_no_padding(bidirectional):
    rng = np.random.default_rng(1)
    features = rng.standard_normal((1, 40, BINS)).astype(np.float32)
    later = features.copy()
    later[:, 30:] = rng.standard_normal((1, 10, BINS))
    expected = whole(bidirectional, features)
    assert np.abs(whole(bidirectional, later) - expected)[:, 13].max() > 1e-3  # frames 26 and 27
    padded = np.concatenate([features, rng.standard_normal((1, 24, BINS)).astype(np.float32)], 1)
    both = {
        "features": np.concatenate([padded, padded[:, ::-1]]),
        "lengths": np.array([40, 64], np.int32),
    }
    logits = np.asarray(bidirectional(both, training=False))[0, : expected.shape[1]]
    np.testing.assert_allclose(logits, expected[0], atol=1e-5)


def test_a_backward_recurrence_is_a_forward_one_of_the_reversed_clip(bidirectional):
    layer = bidirectional.recurrences[0]
    x = noise(1, 9, layer.recurrence.cell.kernel.shape[0])
    valid = np.ones((1, 9), bool)
    normed = layer.norm(x, valid=valid, training=False)
    backward = np.asarray(layer.backward(normed[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(
        layer(x, valid=valid), np.asarray(layer.recurrence(normed)) + backward, atol=1e-5
    )


def test_a_bidirectional_model_has_no_step_form_and_takes_no_lookahead(bidirectional):
    with pytest.raises(ValueError, match="no step form"):
        stepped(bidirectional, np.zeros((1, 12, BINS), np.float32), 2)
    with pytest.raises(ValueError, match="lookahead must be 0"):
        ModelSettings((Convolution(4, (4, 5), (2, 2)),), lookahead=3, direction="bidirectional")


@pytest.mark.parametrize(
    "wrong", [{"direction": "bidirectional", "lookahead": 0}, {"ahead": 3}, {"dropout": 1.0}]
)
def test_settings_that_a_quasi_recurrent_cell_cannot_have_are_refused(wrong):
    convolutions, _ = SHAPES["no lookahead"]
    with pytest.raises(ValueError, match=r"bidirectional|ahead|dropout"):
        ModelSettings(convolutions, **({"cell": "qrnn"} | wrong))


def test_settings_of_the_quasi_recurrent_cell_are_refused_for_others():
    convolutions, _ = SHAPES["no lookahead"]
    with pytest.raises(ValueError, match="belong to cell 'qrnn'"):
        ModelSettings(convolutions, "gru", ahead=1)


def test_the_scan_and_its_gradient_are_those_of_the_loop():
    rng = np.random.default_rng(3)
    forget = tf.Variable(rng.uniform(0, 1, (2, 9, 3)).astype(np.float32))
    taken = tf.Variable(rng.standard_normal((2, 9, 3)).astype(np.float32))
    weights = rng.standard_normal((2, 9, 3)).astype(np.float32)
    with tf.GradientTape(persistent=True) as tape:
        states = scan(tf.identity(forget), tf.identity(taken))
        state = tf.zeros((2, 3))
        rows = []
        for t in range(9):
            state = forget[:, t] * state + taken[:, t]
            rows.append(state)
        expected = tf.stack(rows, 1)
        losses = [tf.reduce_sum(weights * x**2) for x in (states, expected)]
    np.testing.assert_allclose(states, expected, atol=1e-6)
    for variable in (forget, taken):
        of_scan, of_loop = (tape.gradient(loss, variable) for loss in losses)
        np.testing.assert_allclose(of_scan, of_loop, rtol=1e-4, atol=1e-5)
