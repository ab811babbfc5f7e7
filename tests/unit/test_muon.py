"""The optimizer Muon."""

import keras
import numpy as np
import pytest

from ds2edge.train.muon import RMS, Muon, orthogonalize
from ds2edge.train.recipe import TrainingSettings
from ds2edge.train.schedule import make_optimizer

RNG = np.random.default_rng(5)


def matrix(rows: int, columns: int) -> np.ndarray:
    """Random, with singular values from 0.01 to 1."""
    left, _, right = np.linalg.svd(RNG.normal(size=(rows, columns)), full_matrices=False)
    return ((left * np.geomspace(1, 0.01, left.shape[1])) @ right).astype(np.float32)


@pytest.mark.parametrize("shape", [(32, 32), (32, 40), (40, 32), (64, 32)])
def test_singular_values_become_alike(shape):
    x = matrix(*shape)
    y = np.asarray(orthogonalize(x)) / (RMS * max(shape) ** 0.5)
    values = np.linalg.svd(y, compute_uv=False)
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert np.vdot(x, y) > 0


def test_each_gate_is_a_matrix_of_its_own():
    gates = [matrix(16, 16), 100 * matrix(16, 16), matrix(16, 16)]
    together = np.asarray(orthogonalize(np.concatenate(gates, axis=1)))
    apart = [np.asarray(orthogonalize(gate)) for gate in gates]
    np.testing.assert_allclose(together, np.concatenate(apart, axis=1), atol=2e-3)


def test_the_size_of_an_update_is_that_of_adamw():
    y = np.asarray(orthogonalize(matrix(64, 192)))
    assert np.sqrt(np.mean(y**2)) == pytest.approx(RMS, rel=0.25)


def test_a_gradient_of_zeros_changes_nothing():
    assert not np.asarray(orthogonalize(np.zeros((8, 24), np.float32))).any()


def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(16, name="hidden"), keras.layers.Dense(4, name="dense")]
    return keras.Sequential([keras.Input((8,)), *layers])


def train(net: keras.Model, steps: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(steps):
        x = rng.normal(size=(4, 8)).astype(np.float32)
        net.train_on_batch(x, x[:, :4] * 2)


def test_only_inner_matrices_differ_from_adamw():
    weights = {}
    for name in ("adamw", "muon"):
        net = model()
        settings = TrainingSettings(optimizer=name, learning_rate=1e-2, clip_norm=100.0)
        net.compile(make_optimizer(settings, steps=10), loss="mse")
        train(net, 2)  # the rate of the first step is 0
        weights[name] = net.get_weights()
    hidden, *others = map(np.array_equal, weights["adamw"], weights["muon"])
    assert not hidden
    assert all(others)


def test_a_saved_training_continues_as_if_it_had_not_stopped(tmp_path):
    net = model()
    net.compile(Muon(1e-2, use_ema=True), loss="mse")
    train(net, 3)
    net.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert isinstance(again.optimizer, Muon)
    train(net, 3)
    train(again, 3)
    for a, b in zip(net.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
