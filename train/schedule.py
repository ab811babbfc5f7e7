"""The optimizer and its learning rate over the steps of a training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ds2edge.train.muon import Muon
from ds2edge.train.recipe import TrainingSettings

OPTIMIZERS = {"adamw": keras.optimizers.AdamW, "muon": Muon}


@keras.saving.register_keras_serializable(package="ds2edge")
class WarmupHoldDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to `peak`, a hold, and half a cosine down to 0. The other arguments are steps.

    A training may stop at any step of the hold. A second training that starts from its weights and
    only decays then finishes it (Hu et al. 2024, arXiv 2404.06395, section 4).
    """

    def __init__(self, peak: float, warmup: int, hold: int, decay: int) -> None:
        self.peak = peak
        self.warmup = warmup
        self.hold = hold
        self.decay = decay

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, a scalar tensor."""
        step = ops.cast(step, "float32")
        rising = step / max(1, self.warmup)
        decayed = ops.clip((step - self.warmup - self.hold) / max(1, self.decay), 0.0, 1.0)
        falling = 0.5 * (1 + ops.cos(decayed * math.pi))
        return self.peak * ops.where(step < self.warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """The arguments, which Keras saves with the optimizer."""
        return {"peak": self.peak, "warmup": self.warmup, "hold": self.hold, "decay": self.decay}


def make_optimizer(settings: TrainingSettings, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of `settings` with its learning rate; `steps`: the batches of all epochs."""
    warmup = max(1, round(settings.warmup_share * steps))
    decay = min(steps - warmup, round(settings.decay_share * steps))
    hold = steps - warmup - decay
    accumulation = settings.gradient_accumulation
    # All variables decay: Keras does not save an exclusion, so resuming would lose it.
    return OPTIMIZERS[settings.optimizer](
        WarmupHoldDecay(settings.learning_rate, warmup, hold, decay),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
        use_ema=settings.ema > 0,
        ema_momentum=settings.ema or 0.99,
    )
