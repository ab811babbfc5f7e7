"""DeepSpeech2 (Amodei et al. 2015, arXiv 1512.02595) in Keras, for any backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import ops

from ds2edge.runtime.records import from_dict
from ds2edge.train.model.conformer import conformer_layers
from ds2edge.train.model.layers import (
    ConvolutionLayer,
    LookaheadLayer,
    RecurrentLayer,
    SequenceNorm,
    StreamingLayer,
)
from ds2edge.train.model.losses.consistency import view_divergence
from ds2edge.train.model.losses.ctc import ctc_loss
from ds2edge.train.model.losses.word_errors import WordErrors
from ds2edge.train.model.quantization import FLOAT, FakeQuantizer, Quantizer, Range
from ds2edge.train.model.quasi_recurrent import QuasiRecurrentLayer
from ds2edge.train.model.tensor import Shapes, States, Tensor
from ds2edge.train.recipe import ModelSettings

MOST_BATCHES = 2**18  # of an epoch


@keras.saving.register_keras_serializable("ds2edge")
class DeepSpeech2(keras.Model):
    """Convolutions, an encoder, a row convolution and a dense layer; trained with CTC.

    In the paper the encoder consists of recurrent layers. A recipe can choose conformer blocks.

    `call` takes {"features": float32 [batch, frames, bins], "lengths": int32 [batch]} and returns
    logits [batch, frames // time_stride - warmup - delay, symbols]. `step` returns the same for one
    chunk of a stream, but its outputs are `delay` steps late and include the warm-up.

    The warm-up is silence before every clip, whose outputs are dropped. Without it, the first steps
    are marked by states that are still zero: CTC would learn to guess the first word there, before
    it is spoken, and would not unlearn it.
    """

    def __init__(
        self,
        settings: ModelSettings,
        bins: int,
        symbols: int,
        ranges: dict[str, Range] | None = None,
        **kwargs: Any,
    ) -> None:
        """`bins`: of a feature frame; `symbols`: of the alphabet, with the blank.

        `ranges`: of all quantization points; `call` then rounds as int8 does, in training too.
        """
        super().__init__(**kwargs)
        self.settings = settings
        self.bins = bins
        self.symbols = symbols
        self.consistency = 0.0  # weight of this loss; rows must then come in pairs
        self.word_errors: WordErrors | None = None
        self.ranges: dict[str, Range] = {}
        self.convolutions = [
            ConvolutionLayer(c.channels, c.kernel, c.stride, name=f"conv{i}")
            for i, c in enumerate(settings.convolutions)
        ]
        conformer = settings.encoder == "conformer"
        self.blocks = conformer_layers(settings) if conformer else []
        self.recurrences = (
            []
            if conformer
            else [_recurrent_layer(settings, f"{settings.cell}{i}") for i in range(settings.depth)]
        )
        self.lookaheads = (
            [LookaheadLayer(settings.lookahead, self._spread, name="lookahead")]
            if settings.lookahead
            else []
        )
        self.norm = SequenceNorm(name="norm")
        self.dense = keras.layers.Dense(symbols, name="dense")
        frames = (settings.warmup + settings.delay + 1) * settings.time_stride
        self({"features": ops.zeros((1, frames, bins)), "lengths": ops.full((1,), frames, "int32")})
        # Set last: only the float model builds its layers.
        self.ranges = {point: (low, high) for point, (low, high) in (ranges or {}).items()}

    @property
    def encoder(self) -> list[Any]:
        """The layers between the convolutions and the lookahead."""
        return [*self.recurrences, *self.blocks]

    def round_to(self, ranges: dict[str, Range]) -> None:
        """Makes `call` round as int8 does, to these ranges. An empty dict ends the rounding."""
        self.ranges = ranges
        self.make_predict_function(force=True)  # Keras would go on with the compiled one

    def get_config(self) -> dict[str, Any]:
        """The arguments of `from_config`."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "bins": self.bins,
            "symbols": self.symbols,
            "ranges": dict(self.ranges),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DeepSpeech2:
        """A model of this shape; Keras calls this when it loads a .keras file.

        ValueError if it was trained with --qat for other quantization points than those of today.
        """
        settings = from_dict(ModelSettings, config["settings"], "model configuration")
        model = cls(settings, config["bins"], config["symbols"], config.get("ranges"))
        if model.ranges and any(each.output_point not in model.ranges for each in model.lookaheads):
            raise ValueError(
                "an older version of ds2edge chose its int8 ranges: train with --qat again"
            )
        return model

    def call(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Logits of whole clips, padded on the right to one length.

        `lengths` counts the real frames of each.
        """
        if self.ranges:
            return self.quantized(inputs, FakeQuantizer(self.ranges))
        return self.dense(self.encode(inputs, training))

    def encode(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """The inputs [batch, steps, units] of the dense layer; `inputs` as of `call`."""
        x = ops.expand_dims(inputs["features"], -1)
        lengths = ops.cast(inputs["lengths"], "int32")
        for layer in self.convolutions:
            lengths = lengths // layer.stride[0]
            valid = ops.arange(ops.shape(x)[1] // layer.stride[0]) < ops.expand_dims(lengths, 1)
            x = layer(x, valid=valid, training=training)
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] * x.shape[3]))
        for layer in self.encoder:
            x = layer(x, valid=valid, training=training)
        for layer in self.lookaheads:
            x = layer(x)
        dropped = self._dropped_steps()
        valid = valid[:, self.settings.lookahead + dropped :]
        return self.norm(x[:, dropped:], valid=valid, training=training)

    def _dropped_steps(self) -> int:
        """First outputs of whole sequences to drop: warm-up, and the delay of the recurrences."""
        return self.settings.warmup + self.settings.delay - self.settings.lookahead

    def quantized(self, inputs: dict[str, Tensor], quantizer: Quantizer) -> Tensor:
        """As `call` with training=False, but computed as the int8 graph computes.

        `quantizer` rounds at every quantization point.
        """
        x = ops.expand_dims(quantizer("features", inputs["features"]), -1)
        for layer in self.convolutions:
            x = layer.quantized(x, quantizer)
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] * x.shape[3]))
        lengths = ops.cast(inputs["lengths"], "int32") // self.settings.time_stride
        valid = ops.arange(ops.shape(x)[1]) < ops.expand_dims(lengths, 1)
        for layer in self.encoder:
            x = layer.quantized(x, valid, quantizer)
        for layer in self.lookaheads:
            x = layer.quantized(x, quantizer)
        return self.output(x[:, self._dropped_steps() :], quantizer)

    def output(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """[..., units] -> logits [..., symbols], with the last batch norm folded in.

        `x` is divided by the spread of the norm's inputs where a lookahead layer comes before.
        """
        scale, shift = self.norm.affine()
        bias = self.dense.bias + ops.matmul(ops.expand_dims(shift, 0), self.dense.kernel)[0]
        if self.lookaheads:
            scale = scale * self._spread()
        kernel = quantizer.weight(ops.expand_dims(scale, 1) * self.dense.kernel)
        return quantizer("logits", ops.matmul(x, kernel) + bias)

    def _spread(self) -> Tensor:
        return self.norm.input_spread()

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Real steps of logits for clips of `lengths` frames."""
        return lengths // self.settings.time_stride - self.settings.warmup - self.settings.delay

    def norms(self) -> Iterator[SequenceNorm]:
        """Every batch norm of the model."""
        for layer in (*self.convolutions, *self.encoder):
            yield from layer.norms()
        yield self.norm

    def seed_dropout(self, seed: int, epoch: int) -> None:
        """Makes what `epoch` drops depend on `seed` and the epoch alone.

        A .keras file does not hold the state of dropout, so a resumed training would drop others.
        """
        for index, layer in enumerate(self.encoder):
            dropout = getattr(layer, "dropout", None)
            if dropout and dropout.rate:
                # The state is a key and a counter, which every batch raises by 1.
                dropout.seed_generator.state.assign([seed + index, epoch * MOST_BATCHES])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Mean CTC loss of the batch; Keras calls this.

        `sample_weight` [batch]: factor of each clip's loss, 0 for an empty row. `keras.losses.CTC`
        would take the padded length for every clip; this takes the real ones. With `consistency`,
        the loss of a row grows with its divergence from the other view of its clip. With
        `word_errors`, it grows with the expected number of wrong words.
        """
        # An empty row has no steps, but the loss needs one.
        steps = ops.maximum(self.output_lengths(ops.cast(x["lengths"], "int32")), 1)
        loss = ctc_loss(y["labels"], y_pred, y["label_lengths"], steps)
        if self.consistency:
            loss = loss + self.consistency * view_divergence(y_pred, steps)
        if self.word_errors:
            loss = loss + self.word_errors.loss(y_pred, y["labels"], steps)
        return _Mean("mean")(loss, loss, sample_weight)

    def state_shapes(self) -> Shapes:
        """Names and shapes of a stream's states, in the order of the layers."""
        layers = (*self.convolutions, *self.encoder, *self.lookaheads)
        return {
            _state_name(layer, key): shape
            for layer in layers
            for key, shape in layer.state_shapes().items()
        }

    def step(
        self, features: Tensor, states: States, quantizer: Quantizer = FLOAT
    ) -> tuple[Tensor, States]:
        """Logits [1, frames // time_stride, symbols] of one chunk, and the next states.

        `features`: float32 [1, frames, bins]. Batch norm takes its moving statistics, so the result
        is that of `call` with training=False. ValueError for a bidirectional model, which needs the
        whole clip.
        """
        if self.settings.direction == "bidirectional":
            raise ValueError("a bidirectional model has no step form")
        x, convolution_states = self.convolve(features, states, quantizer)
        layers = (*self.encoder, *self.lookaheads)
        point = self.convolutions[-1].output_point
        x, next_states = _step_layers(layers, x, point, states, quantizer)
        logits = ops.expand_dims(self.output(x, quantizer), 0)
        return logits, convolution_states | next_states

    def convolve(
        self, features: Tensor, states: States, quantizer: Quantizer = FLOAT
    ) -> tuple[Tensor, States]:
        """The convolutions of a step: [1, frames, bins] -> [steps, values], their next states."""
        x = ops.expand_dims(quantizer("features", features), -1)
        x, next_states = _step_layers(self.convolutions, x, "features", states, quantizer)
        return ops.reshape(x, (x.shape[1], x.shape[2] * x.shape[3])), next_states


class _Mean(keras.losses.Loss):
    """Weighted mean of given losses. Keras's reduction accounts for MirroredStrategy's devices."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def _step_layers(
    layers: Iterable[StreamingLayer], x: Tensor, point: str, states: States, quantizer: Quantizer
) -> tuple[Tensor, States]:
    """One chunk through `layers`, and their next states.

    `point`: the quantization point that `x` has passed; `states`: of the whole model.
    """
    next_states: States = {}
    for layer in layers:
        own = {
            key: quantizer(layer.state_point(key, point), states[_state_name(layer, key)])
            for key in layer.state_shapes()
        }
        x, own = layer.step(x, own, quantizer)
        next_states |= {_state_name(layer, key): value for key, value in own.items()}
        point = layer.output_point
    return x, next_states


def _recurrent_layer(settings: ModelSettings, name: str) -> RecurrentLayer | QuasiRecurrentLayer:
    if settings.cell == "qrnn":
        return QuasiRecurrentLayer(settings.width, settings.ahead, settings.dropout, name=name)
    return RecurrentLayer(settings.cell, settings.width, settings.direction, name=name)


def _state_name(layer: StreamingLayer, key: str) -> str:
    return f"{layer.name}_{key}" if key else layer.name
