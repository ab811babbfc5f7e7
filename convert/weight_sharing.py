"""Whether the operations of a model that use the same weights may share one packed copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2edge.runtime.engine import Tensors, can_share_weights, load_engine


def shares_weights(path: Path) -> bool:
    """Whether the model computes the same bits with shared weights as without, on random inputs.

    False where this machine cannot share weights, because nothing is proven there.
    """
    if not can_share_weights():
        return False
    plain = _outputs(path, share_weights=False)
    shared = _outputs(path, share_weights=True)
    return all(
        np.array_equal(plain[name][key], shared[name][key]) for name in plain for key in plain[name]
    )


def _outputs(path: Path, share_weights: bool) -> dict[str, Tensors]:
    """The outputs of every signature for the same random inputs each time."""
    engine = load_engine(path, threads=1, share_weights=share_weights)
    rng = np.random.default_rng(0)
    outputs = {}
    for name, shapes in sorted(engine.inputs.items()):
        inputs = {
            key: 0.5 * rng.standard_normal(shape, np.float32)
            for key, shape in sorted(shapes.items())
        }
        outputs[name] = engine.run(name, inputs)
    return outputs
