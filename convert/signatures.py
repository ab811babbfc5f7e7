"""What a model is exported as: functions of one chunk, each with its own states, that become signatures of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from ds2edge.runtime.specification import State
from ds2edge.runtime.whole_clip import BACKWARD, CONVOLUTIONS, OUTPUT
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import RecurrentLayer
from ds2edge.train.model.quantization import FLOAT, Quantizer

Tensor = Any
States = dict[str, Tensor]


@dataclass(frozen=True)
class Part:
    """One signature: `call(x, states, quantizer)` returns what it says of a chunk, and the next states."""

    name: str
    shape: tuple[int, ...]  # of its input
    states: tuple[State, ...]
    call: Callable[..., tuple[Tensor, States]]
    input: str = "input"  # what the file calls them
    output: str = "output"


def parts(model: DeepSpeech2, chunk_steps: int) -> list[Part]:
    """What `ds2edge.runtime.specification.Graph` describes, in that order."""
    frames, shapes = chunk_steps * model.settings.time_stride, model.state_shapes()
    if model.settings.direction == "forward":
        states = tuple(State(name, shape) for name, shape in shapes.items())
        return [Part("step", (1, frames, model.bins), states, model.step, "features", "logits")]

    def convolve(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        return model.convolve(ops.expand_dims(x, 0), states, quantizer)

    def say(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        return model.output(quantizer(model.recurrences[-1].output_point, x), quantizer), {}

    last = model.convolutions[-1]
    point, width = last.output_point, last.out_bins * last.convolution.filters
    heard = {layer.name for layer in model.convolutions}
    states = tuple(
        State(name, shape, CONVOLUTIONS) for name, shape in shapes.items() if name in heard
    )
    found = [Part(CONVOLUTIONS, (frames, model.bins), states, convolve)]
    for layer in model.recurrences:
        found += [
            _recurrence(layer, backward, (chunk_steps, width), point) for backward in (False, True)
        ]
        point, width = layer.output_point, layer.units
    return [*found, Part(OUTPUT, (chunk_steps, width), (), say)]


def _recurrence(layer: RecurrentLayer, backward: bool, shape: tuple[int, int], point: str) -> Part:
    """One direction of a layer; `point`: the quantization point that its input has passed."""
    name = layer.name + (BACKWARD if backward else "")

    def call(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        kept = {
            key: quantizer(f"{name}/{key}", states[f"{name}_{key}"]) for key in layer.state_shapes()
        }
        y, kept = layer.step(quantizer(point, x), kept, quantizer, backward)
        return y, {f"{name}_{key}": value for key, value in kept.items()}

    states = tuple(
        State(f"{name}_{key}", state, name) for key, state in layer.state_shapes().items()
    )
    return Part(name, shape, states, call)
