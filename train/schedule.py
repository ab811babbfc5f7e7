"""The learning rate over the steps of a training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ds2edge")
class WarmupHoldDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Rises linearly to `peak` in `warmup` steps, stays there for `hold`, falls as a half cosine to 0 in `decay`.

    A training that holds the peak may be ended at any time: begin another one with its weights, whose rate only falls
    (Hu et al. 2024, arXiv 2404.06395, section 4).
    """

    def __init__(self, peak: float, warmup: int, hold: int, decay: int) -> None:
        self.peak, self.warmup, self.hold, self.decay = peak, warmup, hold, decay

    def __call__(self, step: Any) -> Any:
        """The rate of a step, a scalar tensor."""
        step = ops.cast(step, "float32")
        rising = step / max(1, self.warmup)
        fallen = ops.clip((step - self.warmup - self.hold) / max(1, self.decay), 0.0, 1.0)
        falling = 0.5 * (1 + ops.cos(fallen * 3.141592653589793))
        return self.peak * ops.where(step < self.warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """For Keras, which saves the schedule with the optimizer."""
        return {"peak": self.peak, "warmup": self.warmup, "hold": self.hold, "decay": self.decay}
