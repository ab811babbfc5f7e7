"""Self-attention within a chunk and a fixed left context, with ReLU in place of softmax."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ds2edge.train.model.layers import NormedDense, SequenceNorm, StreamingLayer, concatenate_steps
from ds2edge.train.model.quantization import Quantizer
from ds2edge.train.model.tensor import Shapes, States, Tensor

LIMIT = 8.0  # of queries, keys and values, whose standard deviation is about 1


class AttentionLayer(StreamingLayer):
    """A residual block of chunked multi-head self-attention.

    Time is cut into chunks of `chunk` steps. A step sees all steps of its own chunk and the
    `context` steps before the chunk. For each head, with q, k and v the normed projections of x:

        y[t] = sum over the steps s that t sees of relu(q[t] k[s]) v[s] / (steps * sqrt(size))

    and the output is x + norm(y W). The sum is divided by a constant, not by the sum of the
    weights as softmax does (Wortsman et al. 2023, arXiv 2309.08586). So a step before the start of
    a stream, whose k and v are zeros, changes nothing: the empty cache needs no mask. Int8 computes
    the same bits everywhere, because there is no exponential. Nothing depends on the position.

    q, k and v are clipped to -LIMIT..LIMIT. Without a softmax, each block would raise values that
    are too large to the third power. In steps that no batch norm has seen, such as padding or a
    long silence, a few blocks would make them infinite.
    """

    def __init__(
        self, units: int, heads: int, chunk: int, context: int, dropout: float, **kwargs: Any
    ) -> None:
        """`units`: of input and output, a multiple of `heads`; `dropout`: share of y."""
        super().__init__(**kwargs)
        self.units = units
        self.heads = heads
        self.chunk = chunk
        self.context = context
        self.window = context + chunk  # steps that one step sees
        self.scale = (units / heads) ** -0.5 / self.window
        self.queries = NormedDense(units, name="queries")
        self.keys = NormedDense(units, name="keys")
        self.values = NormedDense(units, name="values")
        self.dropout = keras.layers.Dropout(dropout)
        self.output_dense = NormedDense(units, name="output")
        self.output_point = self.name

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """`input_shape`: [batch, time, units]."""
        for dense in self._projections():
            dense.build(input_shape)
        self.built = True

    def _projections(self) -> list[NormedDense]:
        return [self.queries, self.keys, self.values, self.output_dense]

    def norms(self) -> list[SequenceNorm]:
        """See StreamingLayer."""
        return [dense.norm for dense in self._projections()]

    def call(self, x: Tensor, valid: Tensor, training: bool | None = None) -> Tensor:
        """[batch, time, units] -> the same shape; `valid` [batch, time] marks the real steps."""
        q, k, v = (
            ops.clip(dense(x, valid=valid, training=training), -LIMIT, LIMIT)
            for dense in (self.queries, self.keys, self.values)
        )
        scores = ops.relu(self._score(self.scale * q, k))
        y = self.dropout(self._weigh(scores, v, ops.shape(x)[1]), training=training)
        return x + self.output_dense(y, valid=valid, training=training)

    def quantized(self, x: Tensor, valid: Tensor, quantizer: Quantizer) -> Tensor:
        """As `call`."""
        quantize = quantizer.within(self.name)
        q, k, v = self._project(x, quantizer)
        scores = quantizer.relu(f"{self.name}/scores", self._score(q, k))
        y = quantize("attended", self._weigh(scores, v, ops.shape(x)[1]))
        return self._add_output(x, y, quantizer)

    def _score(self, q: Tensor, k: Tensor) -> Tensor:
        """Products [batch, chunks, heads, chunk, window] of `q` and `k` [batch, time, units]."""
        chunks = self._split_heads(self._chunks(q))
        return ops.einsum("bnqhd,bnkhd->bnhqk", chunks, self._split_heads(self._windows(k)))

    def _weigh(self, scores: Tensor, v: Tensor, steps: Tensor) -> Tensor:
        """The sums [batch, steps, units] of `v` [batch, steps, units], weighted by `scores`."""
        windows = self._split_heads(self._windows(v))
        y = ops.einsum("bnhqk,bnkhd->bnqhd", scores, windows)
        chunks = ops.shape(y)[1]
        return ops.reshape(y, (-1, chunks * self.chunk, self.units))[:, :steps]

    def _split_heads(self, x: Tensor) -> Tensor:
        """[batch, chunks, steps, units] -> [batch, chunks, steps, heads, units of a head]."""
        size = self.units // self.heads
        return ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2], self.heads, size))

    def _chunks(self, x: Tensor, before: int = 0) -> Tensor:
        """[batch, time, units] -> [batch, before + chunks, chunk, units].

        `before`: chunks of zeros before the first step. Zeros fill up the last chunk.
        """
        chunks = (ops.shape(x)[1] + self.chunk - 1) // self.chunk + before
        x = ops.pad(x, ((0, 0), (before * self.chunk, self.chunk - 1), (0, 0)))
        return ops.reshape(x[:, : chunks * self.chunk], (-1, chunks, self.chunk, self.units))

    def _windows(self, x: Tensor) -> Tensor:
        """[batch, time, units] -> [batch, chunks, window, units]: the steps that a chunk sees."""
        before = -(-self.context // self.chunk)
        x = self._chunks(x, before)
        chunks = ops.shape(x)[1] - before
        shifted = [x[:, first : first + chunks] for first in range(before + 1)]
        return ops.concatenate(shifted, axis=2)[:, :, -self.window :]

    def _project(self, x: Tensor, quantizer: Quantizer) -> tuple[Tensor, Tensor, Tensor]:
        scale = self.scale
        q = self.queries.folded(x, quantizer, scale)
        q = quantizer.clip(f"{self.name}/queries", q, scale * LIMIT)
        k = quantizer.clip(f"{self.name}/keys", self.keys.folded(x, quantizer), LIMIT)
        v = quantizer.clip(f"{self.name}/values", self.values.folded(x, quantizer), LIMIT)
        return q, k, v

    def _add_output(self, x: Tensor, y: Tensor, quantizer: Quantizer) -> Tensor:
        y = quantizer(f"{self.name}/output", self.output_dense.folded(y, quantizer))
        return quantizer(self.name, x + y)

    def state_shapes(self) -> Shapes:
        """The keys and values of the context."""
        return dict.fromkeys(("keys", "values"), (self.context, self.units))

    def state_point(self, key: str, incoming: str) -> str:
        """See StreamingLayer."""
        return f"{self.name}/{key}"

    def step(self, x: Tensor, states: States, quantizer: Quantizer) -> tuple[Tensor, States]:
        """[steps, units] -> the same shape, next states; `steps` is a multiple of `chunk`."""
        steps = x.shape[0]
        q, k, v = self._project(x, quantizer)
        k = ops.concatenate([states["keys"], k], axis=0)
        v = ops.concatenate([states["values"], v], axis=0)
        attended = [
            self._attend(
                _rows(q, first, self.chunk),
                _rows(k, first, self.window),
                _rows(v, first, self.window),
                quantizer,
            )
            for first in range(0, steps, self.chunk)
        ]
        y = self._add_output(x, concatenate_steps(attended), quantizer)
        return y, {
            "keys": _rows(k, steps, self.context),
            "values": _rows(v, steps, self.context),
        }

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, quantizer: Quantizer) -> Tensor:
        """One chunk: q [chunk, units], k and v [window, units] -> [chunk, units]."""
        q, k, v = (
            ops.reshape(part, (part.shape[0], self.heads, self.units // self.heads))
            for part in (q, k, v)
        )
        scores = ops.matmul(ops.transpose(q, (1, 0, 2)), ops.transpose(k, (1, 2, 0)))
        scores = quantizer.relu(f"{self.name}/scores", scores)
        y = ops.matmul(scores, ops.transpose(v, (1, 0, 2)))
        y = quantizer(f"{self.name}/attended", y)
        return ops.reshape(ops.transpose(y, (1, 0, 2)), (self.chunk, self.units))


def _rows(x: Tensor, first: int, count: int) -> Tensor:
    """`count` rows of `x` from `first` on."""
    if (first, count) == (0, x.shape[0]):
        return x
    return ops.slice(x, (first, 0), (count, x.shape[1]))
