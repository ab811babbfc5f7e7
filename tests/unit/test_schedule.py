"""The learning rate over a training."""

import keras
import numpy as np

from ds2edge.train.schedule import WarmupHoldDecay


def test_the_rate_rises_stays_and_falls():
    schedule = WarmupHoldDecay(2e-3, warmup=10, hold=20, decay=40)
    rates = [float(schedule(step)) for step in range(80)]
    np.testing.assert_allclose(rates[:11], np.linspace(0, 2e-3, 11), rtol=1e-5)
    np.testing.assert_allclose(rates[10:31], 2e-3, rtol=1e-5)
    np.testing.assert_allclose(rates[50], 1e-3, rtol=1e-5)  # half-way down
    assert np.all(np.diff(rates[30:]) <= 0)
    assert max(rates[70:]) < 1e-9


def test_without_decay_the_rate_stays_to_the_end():
    schedule = WarmupHoldDecay(1.0, warmup=1, hold=99, decay=0)
    assert float(schedule(99)) == 1.0


def test_a_saved_optimizer_keeps_its_schedule():
    optimizer = keras.optimizers.AdamW(WarmupHoldDecay(1e-3, 5, 6, 7))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert float(again._learning_rate(17)) == float(optimizer._learning_rate(17)) > 0
