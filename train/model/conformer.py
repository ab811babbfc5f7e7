"""The blocks of a conformer (Gulati et al. 2020, arXiv 2005.08100) that int8 computes exactly.

As in FusionFormer (arXiv 2210.17079), batch norm follows the matrix products in place of layer norm
before them, and ReLU replaces Swish and GLU. Every norm folds into the weights before it. No layer
knows the position of a step: the convolutions tell the order of the steps.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model.attention import AttentionLayer
from ds2edge.train.model.layers import NormedDense, SequenceNorm, StreamingLayer
from ds2edge.train.model.quantization import Quantizer
from ds2edge.train.model.tensor import Shapes, States, Tensor
from ds2edge.train.recipe import ModelSettings

EXPANSION = 4  # hidden units of a feed-forward layer for each of its outputs
HALF_STEP = 0.5  # initial weight of each of the two feed-forward layers of a block


def conformer_layers(settings: ModelSettings) -> list[StreamingLayer]:
    """A projection to `width` units, then the four layers of each of the `depth` blocks."""
    width = settings.width
    dropout = settings.dropout
    layers: list[StreamingLayer] = [ProjectionLayer(width, name="projection")]
    for i in range(settings.depth):
        block = f"block{i}"
        layers += [
            FeedForwardLayer(width, dropout, name=f"{block}_feedforward0"),
            AttentionLayer(
                width,
                settings.heads,
                settings.chunk,
                settings.context,
                dropout,
                name=f"{block}_attention",
            ),
            ConvolutionModule(width, settings.kernel, dropout, name=f"{block}_convolution"),
            FeedForwardLayer(width, dropout, name=f"{block}_feedforward1"),
        ]
    return layers


class ProjectionLayer(StreamingLayer):
    """A dense layer and batch norm."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        """`kwargs`: as of keras.layers.Layer."""
        super().__init__(**kwargs)
        self.dense = NormedDense(units, name="dense")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, features]."""
        self.dense.build(input_shape)
        self.built = True

    def norms(self) -> list[SequenceNorm]:
        """See StreamingLayer."""
        return [self.dense.norm]

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, features] -> [batch, time, units]."""
        return self.dense(x, valid=valid, training=training)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        return quantizer(self.name, self.dense.folded(x, quantizer))

    def state_shapes(self) -> Shapes:
        """None."""
        return {}

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, features] -> [steps, units]."""
        return quantizer(self.name, self.dense.folded(x, quantizer)), {}


class FeedForwardLayer(StreamingLayer):
    """x + norm(relu(x W + b) V), with 4 hidden units for each output."""

    def __init__(self, units: int, dropout: float, **kwargs: Any) -> None:
        """`units`: of input and output; `dropout`: share of the hidden units."""
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(EXPANSION * units, activation="relu", name="hidden")
        self.dropout = keras.layers.Dropout(dropout)
        self.dense = NormedDense(units, HALF_STEP, name="dense")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.hidden.build(input_shape)
        self.dense.build((*input_shape[:-1], self.hidden.units))
        self.built = True

    def norms(self) -> list[SequenceNorm]:
        """See StreamingLayer."""
        return [self.dense.norm]

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, units] -> the same shape; `valid` [batch, time] marks the real steps."""
        hidden = self.dropout(self.hidden(x), training=training)
        return x + self.dense(hidden, valid=valid, training=training)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        return self._folded(x, quantizer)

    def _folded(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        quantize = quantizer.within(self.name)
        hidden = quantize("hidden", relu_dense(self.hidden, x, quantizer))
        return quantizer(self.name, x + quantize("output", self.dense.folded(hidden, quantizer)))

    def state_shapes(self) -> Shapes:
        """None."""
        return {}

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape."""
        return self._folded(x, quantizer), {}


class ConvolutionModule(StreamingLayer):
    """x + norm(relu(norm(depthwise convolution of relu(x W + b))) V), causal.

    The steps before the start of a stream are zeros behind the first ReLU.
    """

    def __init__(self, units: int, kernel: int, dropout: float, **kwargs: Any) -> None:
        """`kernel`: steps that the convolution sees; `dropout`: share of the inputs of V."""
        super().__init__(**kwargs)
        self.units = units
        self.past = kernel - 1
        self.hidden = keras.layers.Dense(units, activation="relu", name="hidden")
        # Keras counts all channels in the fan-in of a depthwise kernel: the signal would vanish.
        initializer = keras.initializers.RandomNormal(stddev=kernel**-0.5)
        self.convolution = keras.layers.DepthwiseConv1D(
            kernel, use_bias=False, depthwise_initializer=initializer, name="convolution"
        )
        self.norm = SequenceNorm(name="norm")
        self.dropout = keras.layers.Dropout(dropout)
        self.dense = NormedDense(units, name="dense")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        self.hidden.build(input_shape)
        self.convolution.build((None, None, self.units))
        self.norm.build(input_shape)
        self.dense.build(input_shape)
        self.built = True

    def norms(self) -> list[SequenceNorm]:
        """See StreamingLayer."""
        return [self.norm, self.dense.norm]

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, units] -> the same shape; `valid` [batch, time] marks the real steps."""
        y = self.convolution(ops.pad(self.hidden(x), ((0, 0), (self.past, 0), (0, 0))))
        y = ops.relu(self.norm(y, valid=valid, training=training))
        y = self.dropout(y, training=training)
        return x + self.dense(y, valid=valid, training=training)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        hidden = ops.pad(self._hidden(x, quantizer), ((0, 0), (self.past, 0), (0, 0)))
        kernel, shift = self._folded_convolution(quantizer)
        y = ops.depthwise_conv(hidden, kernel, padding="valid") + shift
        return self._add_output(x, y, quantizer)

    def _hidden(self, x: Tensor, quantizer: Quantizer) -> Tensor:
        return quantizer(f"{self.name}/hidden", relu_dense(self.hidden, x, quantizer))

    def _folded_convolution(self, quantizer: Quantizer) -> tuple[Tensor, Tensor]:
        """The kernel [steps, units, 1] with the norm folded in, and the shift [units]."""
        scale, shift = self.norm.affine()
        kernel = self.convolution.kernel * ops.expand_dims(scale, (0, 2))
        return quantizer.weight(kernel, channels=1), shift

    def _add_output(self, x: Tensor, y: Tensor, quantizer: Quantizer) -> Tensor:
        quantize = quantizer.within(self.name)
        y = quantize("convolved", ops.relu(y))
        return quantizer(self.name, x + quantize("output", self.dense.folded(y, quantizer)))

    def state_shapes(self) -> Shapes:
        """The last inputs of the convolution."""
        return {"hidden": (self.past, self.units)} if self.past else {}

    def state_point(self, key: str, incoming: str) -> str:
        """See StreamingLayer."""
        return f"{self.name}/{key}"

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape, next states."""
        steps = x.shape[0]
        hidden = self._hidden(x, quantizer)
        if self.past:
            hidden = ops.concatenate([states["hidden"], hidden], axis=0)
            states = {"hidden": ops.slice(hidden, (steps, 0), (self.past, self.units))}
        kernel, shift = self._folded_convolution(quantizer)
        image = ops.reshape(hidden, (1, self.past + steps, 1, self.units))
        y = ops.depthwise_conv(image, ops.expand_dims(kernel, 1), padding="valid")
        return self._add_output(x, ops.reshape(y, (steps, self.units)) + shift, quantizer), states


def relu_dense(dense: keras.layers.Dense, x: Tensor, quantizer: Quantizer) -> Tensor:
    """What `dense`, which has a ReLU, computes with rounded weights."""
    return ops.relu(ops.matmul(x, quantizer.weight(dense.kernel)) + dense.bias)
