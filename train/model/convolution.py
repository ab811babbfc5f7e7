"""Strided convolutions in two forms with equal sums: one for training, one for int8 kernels."""

from __future__ import annotations

from keras import ops

from ds2edge.train.model.tensor import Tensor

Pair = tuple[int, int]  # (time, frequency)

LANES = 8  # input channels that XNNPACK's int8 kernels take at once; it pads fewer with zeros


def convolve(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """[batch, frames, bins, channels] -> [batch, frames', bins', outputs].

    `kernel`: [rows, columns, channels, outputs]; `padding`: zeros below and above the bins.

    A kernel over all bins is one matrix product, which takes a third of the time on a CPU. oneDNN's
    convolution is also wrong for such a kernel of 8 bins and 24 channels in bfloat16 (tensorflow
    2.21).
    """
    rows, columns, channels, outputs = kernel.shape
    if columns != x.shape[2] + sum(padding):
        return _convolve_plain(x, kernel, stride, padding)
    x = ops.pad(x, ((0, 0), (0, 0), padding, (0, 0)))
    x = ops.reshape(x, (-1, ops.shape(x)[1], columns * channels))
    last = ops.shape(x)[1] - rows + 1
    x = ops.concatenate([x[:, row : row + last : stride[0]] for row in range(rows)], axis=-1)
    y = ops.matmul(x, ops.reshape(kernel, (rows * columns * channels, outputs)))
    return ops.expand_dims(y, 2)


def _convolve_plain(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    x = ops.pad(x, ((0, 0), (0, 0), padding, (0, 0)))
    return ops.conv(x, kernel, strides=stride, padding="valid")


def convolve_space_to_depth(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """As `convolve`, for one clip of known size; faster in int8 where input channels are few.

    Space-to-depth turns the s x r cells of a stride (s frames, r bins) into channels (i, j, c):

        x'[t, f, (i, j, c)]    = x[s t + i, r f + j, c]
        k'[a, b, (i, j, c), o] = k[s a + i, r b + j, c, o], zero beyond the kernel
        y[t, f, o]             = sum over a, b, i, j, c of x'[t + a, f + b, (i, j, c)] k'[a, b, ...]

    A spectrogram has one channel, which would fill one lane of eight: this takes a third of the
    time. Where it fills no more lanes, the plain form is used.
    """
    rows, columns, channels, outputs = kernel.shape
    depth = stride[0] * stride[1] * channels
    taps = (_divide_up(rows, stride[0]), _divide_up(columns, stride[1]))  # rows and columns of k'
    plain_work = rows * columns * _fill_lanes(channels)
    if plain_work <= taps[0] * taps[1] * _fill_lanes(depth):
        return _convolve_plain(x, kernel, stride, padding)
    frames = (x.shape[1] - rows) // stride[0] + taps[0]
    bins = (x.shape[2] + sum(padding) - columns) // stride[1] + taps[1]
    x = _resize(x, frames * stride[0], bins * stride[1], padding[0])
    x = ops.reshape(x, (frames, stride[0], bins, stride[1] * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    missing = (taps[0] * stride[0] - rows, taps[1] * stride[1] - columns)
    kernel = ops.pad(kernel, ((0, missing[0]), (0, missing[1]), (0, 0), (0, 0)))
    kernel = ops.reshape(kernel, (taps[0], stride[0], taps[1], stride[1] * channels, outputs))
    kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3, 4)), (*taps, depth, outputs))
    return ops.conv(ops.reshape(x, (1, frames, bins, depth)), kernel, padding="valid")


def _resize(x: Tensor, frames: int, bins: int, padding: int) -> Tensor:
    """[1, frames, bins, channels] of `x` with `padding` zeros below; cut or filled at the ends."""
    more_frames = max(0, frames - x.shape[1])
    more_bins = max(0, bins - padding - x.shape[2])
    x = ops.pad(x, ((0, 0), (0, more_frames), (padding, more_bins), (0, 0)))
    if x.shape[1:3] == (frames, bins):
        return x
    return ops.slice(x, (0, 0, 0, 0), (1, frames, bins, x.shape[3]))


def _divide_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _fill_lanes(channels: int) -> int:
    return _divide_up(channels, LANES) * LANES
