"""The loss that counts wrong words, and the alignment that it needs."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from rapidfuzz.distance import Levenshtein

from ds2edge.train.model.losses.alignment import align_labels
from ds2edge.train.model.losses.word_errors import SAMPLES, WordErrors
from ds2edge.train.recipe import TrainingSettings

ALPHABET = ["", " the", " a", "b", "c", " "]


def log_softmax(x):
    return (x - np.log(np.exp(x).sum(-1, keepdims=True))).astype(np.float32)


def collapse(path):
    return [s for s, _ in itertools.groupby(path) if s]


def best_score(log_probs, text):
    """Of all paths that say the text, by trying each."""
    steps, symbols = log_probs.shape
    return max(
        sum(log_probs[t, s] for t, s in enumerate(path))
        for path in itertools.product(range(symbols), repeat=steps)
        if collapse(path) == list(text)
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 2), max_size=2), min_size=1, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_the_alignment_is_the_best_path(texts, seed):
    rng = np.random.default_rng(seed)
    log_probs = log_softmax(3 * rng.normal(size=(len(texts), 5, 3)))
    steps = rng.integers(3, 6, len(texts))
    for row, text, count, spans in zip(
        log_probs, texts, steps, align_labels(log_probs, texts, steps), strict=True
    ):
        path = [0] * count
        for label, (first, last) in zip(text, spans, strict=True):
            path[first : last + 1] = [label] * (last + 1 - first)
        assert collapse(path) == text
        score = sum(row[t, s] for t, s in enumerate(path))
        assert score == pytest.approx(best_score(row[:count], text), abs=1e-4)


def wrong_words(alphabet, path, words):
    return Levenshtein.distance(words, "".join(alphabet[s] for s in collapse(path)).split())


def test_the_gradient_is_that_of_the_expected_errors():
    # Few outputs, all within reach: then the mean over many draws must be the exact gradient.
    rng = np.random.default_rng(3)
    alphabet = ["", " a", "b"]
    logits = rng.normal(size=(1, 3, 3))
    log_probs = log_softmax(logits)
    labels = [1, 2]  # "ab"
    exact = np.zeros((3, 3))
    expected = 0.0
    p = np.exp(log_probs[0].astype(float))
    for path in itertools.product(range(3), repeat=3):
        probability = np.prod([p[t, s] for t, s in enumerate(path)])
        errors = wrong_words(alphabet, path, ["ab"])
        expected += probability * errors
        for t, s in enumerate(path):
            exact[t, s] += probability * errors
            exact[t] -= probability * errors * p[t]
    loss = WordErrors(alphabet, 1.0, step_seconds=0.08)
    rows = 4000
    many = np.repeat(log_probs, rows, axis=0)
    advantages, errors = loss.sample(many, np.array([labels] * rows), np.full(rows, 3))
    found = advantages.sum(2, keepdims=True) * -p + advantages
    np.testing.assert_allclose(found.mean(0), exact, atol=0.02)
    assert errors.mean() == pytest.approx(expected, abs=0.02)


def test_credit_goes_only_to_what_is_near():
    loss = WordErrors(ALPHABET, 1.0, step_seconds=0.08)
    logits = np.full((1, 40, len(ALPHABET)), -20.0)
    logits[..., 0] = 20.0
    logits[0, 5] = [-20, 20, -20, -20, -20, -20]  # " the", for sure
    logits[0, 30] = [-20, -20, 2, -20, -20, 2]  # " a", or nothing
    advantages, _ = loss.sample(log_softmax(logits), np.array([[1, 2]]), np.array([40]))
    steps = np.flatnonzero(np.abs(advantages[0]).sum(-1))
    assert set(steps) <= set(range(30 - loss.reach, 31 + loss.reach))
    assert advantages[0, 30, 2] < 0  # more of it means fewer errors
    assert advantages[0, 30, 5] > 0


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_what_a_clip_says_is_read_alike_from_labels_and_path(data):
    loss = WordErrors(ALPHABET, 1.0, step_seconds=0.08)
    labels = data.draw(st.lists(st.integers(1, len(ALPHABET) - 1), max_size=12))
    path = [s for label in labels for s in (label, 0)]
    spans = [(2 * i, 2 * i) for i in range(len(labels))]
    words, places = loss._words(labels, spans)
    assert words == loss._read(path) == "".join(ALPHABET[s] for s in labels).split()
    assert len(places) == len(words)
    assert all(first <= last for first, last in places)


def test_a_certain_output_has_its_errors_and_no_gradient():
    loss = WordErrors(ALPHABET, 2.0, step_seconds=0.08)
    logits = np.full((2, 6, len(ALPHABET)), -40.0, np.float32)
    for t, s in enumerate([1, 0, 2, 3, 0, 0]):
        logits[:, t, s] = 40.0
    labels = np.array([[1, 2, 3], [2, 0, 0]])  # "the ab", "a"
    result = loss.loss(ops.convert_to_tensor(logits), labels, np.array([6, 6], np.int32))
    np.testing.assert_allclose(ops.convert_to_numpy(result), [0.0, 4.0], atol=1e-5)


def test_an_empty_row_is_no_error():
    loss = WordErrors(ALPHABET, 1.0, step_seconds=0.08)
    log_probs = log_softmax(np.zeros((1, 4, len(ALPHABET))))
    advantages, errors = loss.sample(log_probs, np.zeros((1, 3), int), np.array([1]))
    assert np.isfinite(advantages).all()
    assert errors[0] <= SAMPLES


def test_the_same_arguments_give_the_same_samples():
    loss = WordErrors(ALPHABET, 1.0, step_seconds=0.08)
    log_probs = log_softmax(np.random.default_rng(1).normal(size=(2, 9, len(ALPHABET))))
    labels, steps = np.array([[1, 2], [3, 0]]), np.array([9, 7])
    first, second = (loss.sample(log_probs, labels, steps)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not first[1, 7:].any()  # padding


def test_a_model_learns_to_make_fewer_errors():
    keras.utils.set_random_seed(2)
    loss = WordErrors(ALPHABET, 1.0, step_seconds=0.08)
    labels = np.array([[1, 2, 3, 0]] * 4)
    steps = np.full(4, 12, np.int32)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(len(ALPHABET))

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(loss.loss(y_pred, labels, steps))

    net = Net()
    net.compile(keras.optimizers.Adam(0.05), jit_compile=keras.backend.backend() == "jax")
    x = np.repeat(np.eye(12, dtype=np.float32)[None], 4, axis=0)
    losses = [float(net.train_on_batch(x, labels)) for _ in range(200)]
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:20])


def test_a_recipe_refuses_a_negative_weight():
    with pytest.raises(ValueError, match=r"word_errors \(-1\) must be at least 0"):
        TrainingSettings(word_errors=-1)
