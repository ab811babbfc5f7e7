"""The functions that a model is exported as: each runs one chunk and is a signature of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from ds2edge.runtime.specification import BACKWARD, CONVOLUTIONS, OUTPUT, State
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.layers import RecurrentLayer
from ds2edge.train.model.quantization import FLOAT, Quantizer
from ds2edge.train.model.tensor import States, Tensor


@dataclass(frozen=True)
class Signature:
    """One function of the file.

    `call(x, states, quantizer)` takes the input of one chunk and the states by name. It returns
    the output and the next states.
    """

    name: str
    input_shape: tuple[int, ...]
    states: tuple[State, ...]
    call: Callable[..., tuple[Tensor, States]]
    # What the file names the two tensors.
    input_name: str = "input"
    output_name: str = "output"


def signatures(model: DeepSpeech2, chunk_steps: int) -> list[Signature]:
    """The signatures that `ds2edge.runtime.specification.Graph` describes, in network order."""
    if model.settings.direction == "forward":
        return [_streaming(model, chunk_steps)]
    return [
        _convolutions(model, chunk_steps),
        *_recurrences(model, chunk_steps),
        _output(model, chunk_steps),
    ]


def _streaming(model: DeepSpeech2, chunk_steps: int) -> Signature:
    """The whole network."""
    input_shape = (1, chunk_steps * model.settings.time_stride, model.bins)
    states = tuple(State(name, shape) for name, shape in model.state_shapes().items())
    return Signature("step", input_shape, states, model.step, "features", "logits")


def _convolutions(model: DeepSpeech2, chunk_steps: int) -> Signature:
    def call(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        return model.convolve(ops.expand_dims(x, 0), states, quantizer)

    layers = {layer.name for layer in model.convolutions}
    states = tuple(
        State(name, shape, CONVOLUTIONS)
        for name, shape in model.state_shapes().items()
        if name in layers
    )
    input_shape = (chunk_steps * model.settings.time_stride, model.bins)
    return Signature(CONVOLUTIONS, input_shape, states, call)


def _recurrences(model: DeepSpeech2, chunk_steps: int) -> list[Signature]:
    """Two signatures for each layer: forward, then backward."""
    last = model.convolutions[-1]
    point = last.output_point
    width = last.out_bins * last.convolution.filters
    directions = []
    for layer in model.recurrences:
        for backward in (False, True):
            directions.append(_recurrence(layer, backward, (chunk_steps, width), point))
        point = layer.output_point
        width = layer.units
    return directions


def _recurrence(
    layer: RecurrentLayer, backward: bool, input_shape: tuple[int, int], point: str
) -> Signature:
    """One direction of a layer; `point` is the quantization point of its input."""
    name = layer.name + (BACKWARD if backward else "")

    def call(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        before = {
            key: quantizer(f"{name}/{key}", states[f"{name}_{key}"]) for key in layer.state_shapes()
        }
        y, after = layer.step(quantizer(point, x), before, quantizer, backward)
        return y, {f"{name}_{key}": value for key, value in after.items()}

    states = tuple(
        State(f"{name}_{key}", shape, name) for key, shape in layer.state_shapes().items()
    )
    return Signature(name, input_shape, states, call)


def _output(model: DeepSpeech2, chunk_steps: int) -> Signature:
    last = model.recurrences[-1]

    def call(x: Tensor, states: States, quantizer: Quantizer = FLOAT) -> tuple[Tensor, States]:
        return model.output(quantizer(last.output_point, x), quantizer), {}

    return Signature(OUTPUT, (chunk_steps, last.units), (), call)
