"""DeepSpeech2 (Amodei et al. 2015, arXiv 1512.02595) in Keras, for any backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import ops

from ds2edge.runtime.decoding.ctc import BLANK
from ds2edge.runtime.records import from_dict
from ds2edge.train.model.layers import (
    ConvolutionLayer,
    LookaheadLayer,
    RecurrentLayer,
    SequenceNorm,
    States,
)
from ds2edge.train.model.quantization import FLOAT, FakeQuantizer, Quantizer, Range
from ds2edge.train.model.quasi_recurrent import QuasiRecurrentLayer
from ds2edge.train.recipe import ModelSettings

Tensor = Any


@keras.saving.register_keras_serializable("ds2edge")
class DeepSpeech2(keras.Model):
    """Convolutions over the spectrogram, recurrent layers, a row convolution, a dense layer; trained with CTC.

    `call` takes {"features": float32 [batch, frames, bins], "lengths": int32 [batch]} and returns logits
    [batch, frames // time_stride - warmup - delay, symbols]; `step` says the same of one chunk of a stream, but its
    outputs are `delay` steps late and begin with the warm-up.

    The warm-up is silence that every clip begins with and whose outputs are dropped. Without it, states that are still
    zero mark the first steps, CTC learns to guess the first word there, unheard, and does not unlearn it.
    """

    def __init__(
        self,
        settings: ModelSettings,
        bins: int,
        symbols: int,
        ranges: dict[str, Range] | None = None,
        **kwargs: Any,
    ) -> None:
        """`ranges` of all quantization points: the model is trained, and judged, as int8 will round it."""
        super().__init__(**kwargs)
        self.settings, self.bins, self.symbols = settings, bins, symbols
        self.ranges: dict[str, Range] = {}
        self.convolutions = [
            ConvolutionLayer(c.channels, c.kernel, c.stride, name=f"conv{i}")
            for i, c in enumerate(settings.convolutions)
        ]
        self.recurrences = [
            _recurrence(settings, f"{settings.cell}{i}") for i in range(settings.depth)
        ]
        self.lookaheads = (
            [LookaheadLayer(settings.lookahead, name="lookahead")] if settings.lookahead else []
        )
        self.norm = SequenceNorm(name="norm")
        self.dense = keras.layers.Dense(symbols, name="dense")
        frames = (settings.warmup + settings.delay + 1) * settings.time_stride
        self({"features": ops.zeros((1, frames, bins)), "lengths": ops.full((1,), frames, "int32")})
        # Last, since only the float model builds its layers.
        self.ranges = {point: (low, high) for point, (low, high) in (ranges or {}).items()}

    def round_to(self, ranges: dict[str, Range]) -> None:
        """From now on `call` rounds as int8 does, to these ranges; none: it no longer does."""
        self.ranges = ranges
        self.make_predict_function(force=True)  # what was compiled before would go on as before

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make this model again."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "bins": self.bins,
            "symbols": self.symbols,
            "ranges": dict(self.ranges),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DeepSpeech2:
        """Keras calls this when it loads a .keras file."""
        settings = from_dict(ModelSettings, config["settings"], "model configuration")
        return cls(settings, config["bins"], config["symbols"], config.get("ranges"))

    def call(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Whole clips, padded on the right to one length; `lengths` counts the real frames of each."""
        if self.ranges:
            return self.quantized(inputs, FakeQuantizer(self.ranges))
        return self.dense(self.encode(inputs, training))

    def encode(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """What the dense layer hears, [batch, steps, units]: all of `call` before it."""
        x, lengths = ops.expand_dims(inputs["features"], -1), ops.cast(inputs["lengths"], "int32")
        for layer in self.convolutions:
            lengths = lengths // layer.stride[0]
            valid = ops.arange(ops.shape(x)[1] // layer.stride[0]) < ops.expand_dims(lengths, 1)
            x = layer(x, valid=valid, training=training)
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] * x.shape[3]))
        for layer in self.recurrences:
            x = layer(x, valid=valid, training=training)
        for layer in self.lookaheads:
            x = layer(x)
        early = self._early()
        valid = valid[:, self.settings.lookahead + early :]
        return self.norm(x[:, early:], valid=valid, training=training)

    def _early(self) -> int:
        """First steps that mean nothing: the warm-up, and those by which blocks that look ahead are late."""
        return self.settings.warmup + self.settings.delay - self.settings.lookahead

    def quantized(self, inputs: dict[str, Tensor], quantizer: Quantizer) -> Tensor:
        """As `call` with training=False, computed as the int8 graph computes and rounded by `quantizer`."""
        x = ops.expand_dims(quantizer("features", inputs["features"]), -1)
        for layer in self.convolutions:
            x = layer.quantized(x, quantizer)
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] * x.shape[3]))
        lengths = ops.cast(inputs["lengths"], "int32") // self.settings.time_stride
        valid = ops.arange(ops.shape(x)[1]) < ops.expand_dims(lengths, 1)
        for layer in self.recurrences:
            x = layer.quantized(x, valid, quantizer)
        for layer in self.lookaheads:
            x = layer.quantized(x, quantizer)
        return self.output(x[:, self._early() :], quantizer)

    def output(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        """[..., units] -> logits [..., symbols], with the last batch norm folded in."""
        scale, shift = self.norm.affine()
        bias = self.dense.bias + ops.matmul(ops.expand_dims(shift, 0), self.dense.kernel)[0]
        kernel = quantizer.weight(ops.expand_dims(scale, 1) * self.dense.kernel)
        return quantizer("logits", ops.matmul(x, kernel) + bias)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Steps of logits that count, for so many frames each."""
        return lengths // self.settings.time_stride - self.settings.warmup - self.settings.delay

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Mean CTC loss of the batch, with the true lengths: `keras.losses.CTC` would take the padded one for all.

        `sample_weight` [batch]: factor of each clip's loss, 0 for a row without a clip.
        """
        steps = ops.maximum(
            self.output_lengths(ops.cast(x["lengths"], "int32")), 1
        )  # a row without a clip has none
        loss = ctc_loss(y["labels"], y_pred, y["label_lengths"], steps)
        return _Mean("mean")(loss, loss, sample_weight)

    def _stages(self) -> Iterator[keras.layers.Layer]:
        yield from (*self.convolutions, *self.recurrences, *self.lookaheads)

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all that a stream carries, in the order of the stages."""
        return {
            _name(layer, key): shape
            for layer in self._stages()
            for key, shape in layer.state_shapes().items()
        }

    def step(
        self, features: Tensor, states: States, quantizer: Quantizer = FLOAT
    ) -> tuple[Tensor, States]:
        """One chunk: float32 [1, frames, bins] and states -> logits [1, frames // time_stride, symbols], next states.

        Batch norm takes its moving statistics, so this equals `call` with training=False. ValueError for a
        bidirectional model, which cannot answer before the end of the clip.
        """
        if self.settings.direction == "bidirectional":
            raise ValueError("a bidirectional model has no step form")
        x, heard = self.convolve(features, states, quantizer)
        layers, point = (*self.recurrences, *self.lookaheads), self.convolutions[-1].output_point
        x, following = self._advance(layers, x, point, states, quantizer)
        return ops.expand_dims(self.output(x, quantizer), 0), heard | following

    def convolve(
        self, features: Tensor, states: States, quantizer: Quantizer = FLOAT
    ) -> tuple[Tensor, States]:
        """The first part of a step: [1, frames, bins] -> [frames // time_stride, values], next states."""
        x = ops.expand_dims(quantizer("features", features), -1)
        x, following = self._advance(self.convolutions, x, "features", states, quantizer)
        return ops.reshape(x, (x.shape[1], x.shape[2] * x.shape[3])), following

    def _advance(
        self,
        layers: Iterable[keras.layers.Layer],
        x: Tensor,
        point: str,
        states: States,
        quantizer: Quantizer,
    ) -> tuple[Tensor, States]:
        """One chunk through `layers`; `point`: the quantization point that `x` has passed."""
        following: States = {}
        for layer in layers:
            kept = {
                key: quantizer(layer.state_point(key, point), states[_name(layer, key)])
                for key in layer.state_shapes()
            }
            x, kept = layer.step(x, kept, quantizer)
            following |= {_name(layer, key): value for key, value in kept.items()}
            point = layer.output_point
        return x, following


def ctc_loss(labels: Tensor, logits: Tensor, label_lengths: Tensor, steps: Tensor) -> Tensor:
    """Loss [batch] of logits [batch, time, symbols] that count for `steps`; labels [batch, n] are padded with blanks.

    The one place that knows a backend: what Keras calls under tensorflow goes through all pairs of letters of a text at
    every step, and so takes most of the time of training on sentences. tensorflow's kernel for sparse labels does not;
    it runs on the CPU, whatever runs the rest.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.ctc_loss(labels, logits, label_lengths, steps, mask_index=BLANK)
    import tensorflow as tf

    # The kernel refuses a text without letters: a row without a clip, whose loss has no weight, gets one.
    labels = ops.concatenate([ops.maximum(labels[:, :1], 1), labels[:, 1:]], axis=1)
    sparse = tf.sparse.from_dense(labels)
    return tf.compat.v1.nn.ctc_loss(
        sparse.with_values(sparse.values - 1),  # for this kernel the blank comes last
        ops.roll(ops.cast(logits, "float32"), -1, axis=-1),
        steps,
        ignore_longer_outputs_than_inputs=True,  # scan_dataset leaves such clips out
        time_major=False,
    )


class _Mean(keras.losses.Loss):
    """Of losses that are known. Keras's own reduction reckons with the devices of MirroredStrategy."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def _recurrence(settings: ModelSettings, name: str) -> keras.layers.Layer:
    if settings.cell == "qrnn":
        return QuasiRecurrentLayer(settings.width, settings.ahead, settings.dropout, name=name)
    return RecurrentLayer(settings.cell, settings.width, settings.direction, name=name)


def _name(layer: keras.layers.Layer, key: str) -> str:
    return f"{layer.name}_{key}" if key else layer.name
