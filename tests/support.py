"""Sound and weights that tests are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE = 16000
MINI = Path(__file__).parent.parent / "train" / "data" / "mini" / "manifest.jsonl"


def babble(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Something like speech: tones that come and go, and a little noise. float32 in -1..1."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * f * t) for f in (180, 620, 1400, 2600)) * (np.sin(2 * np.pi * 3 * t) > 0)
    return (0.1 * tone + 0.01 * random.standard_normal(len(t))).astype(np.float32)


def jolt(model) -> None:
    """Moves every weight and every batch norm statistic: at their initial values a fold that is wrong goes unseen."""
    random = np.random.default_rng(7)
    for weight in model.weights:
        value = random.standard_normal(weight.shape)
        weight.assign(weight + (0.3 * np.abs(value) if "variance" in weight.path else 0.1 * value))
