"""Strided convolutions, as they are trained and as int8 kernels like them: the same sums."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any
Pair = tuple[int, int]

LANES = 8  # input channels that XNNPACK's int8 kernels take at once: fewer are filled up with zeros


def convolve(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """[batch, time, bins, channels], with bins padded by `padding` -> [batch, time', bins', outputs]."""
    x = ops.pad(x, ((0, 0), (0, 0), padding, (0, 0)))
    return ops.conv(x, kernel, strides=stride, padding="valid")


def convolve_in_lanes(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """As `convolve`, of one clip whose sizes are known.

    Where that leaves fewer lanes empty, the frames and bins of a stride become channels of a convolution without
    stride: a third of the time for a spectrogram, whose single channel would be one lane of eight.
    """
    (time, frequency), (rows, columns, channels, outputs) = stride, kernel.shape
    row, column = (
        -rows % time,
        -columns % frequency,
    )  # what is missing to whole strides, in the kernel
    taps = (rows + row) // time, (columns + column) // frequency
    inside = time * frequency * channels
    if rows * columns * _filled(channels) <= taps[0] * taps[1] * _filled(inside):
        return convolve(x, kernel, stride, padding)
    times = (x.shape[1] - rows) // time + taps[0]
    bins = (x.shape[2] + sum(padding) - columns) // frequency + taps[1]
    after = bins * frequency - x.shape[2] - padding[0]
    x = ops.pad(
        x, ((0, 0), (0, max(0, times * time - x.shape[1])), (padding[0], max(0, after)), (0, 0))
    )
    if x.shape[1:3] != (
        times * time,
        bins * frequency,
    ):  # there are frames or bins that no stride reaches
        x = ops.slice(x, (0, 0, 0, 0), (1, times * time, bins * frequency, channels))
    x = ops.transpose(ops.reshape(x, (times, time, bins, frequency * channels)), (0, 2, 1, 3))
    kernel = ops.pad(kernel, ((0, row), (0, column), (0, 0), (0, 0)))
    kernel = ops.reshape(kernel, (taps[0], time, taps[1], frequency * channels, outputs))
    kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3, 4)), (*taps, inside, outputs))
    return ops.conv(ops.reshape(x, (1, times, bins, inside)), kernel, padding="valid")


def _filled(channels: int) -> int:
    return -(-channels // LANES) * LANES
