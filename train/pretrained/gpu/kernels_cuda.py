"""The Triton kernels of kernels.py, whose plain versions define their results."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from kernels import Placement
from torch import Tensor

BLOCK = 512  # samples that one program computes


@triton.jit
def _cut(  # type: ignore[no-untyped-def]
    pcm,
    out,
    start,
    length,
    offset,
    speed,
    gain,
    samples,
    parts: tl.constexpr,
    block: tl.constexpr,
):
    row = tl.program_id(0)
    position = tl.program_id(1) * block + tl.arange(0, block)
    in_row = position < samples
    total = tl.zeros((block,), tl.float32)
    for part in tl.static_range(parts):
        cell = row * parts + part
        first = tl.load(start + cell)
        size = tl.load(length + cell)
        source = (position - first).to(tl.float64) * tl.load(speed + cell)
        in_clip = in_row & (position >= first) & (source < size)
        whole = source.to(tl.int64)
        fraction = (source - whole).to(tl.float32)
        sine = tl.sin(fraction * 3.14159265358979)
        base = pcm + tl.load(offset + cell)
        value = tl.zeros((block,), tl.float32)
        for tap in tl.static_range(-3, 5):
            distance = fraction - tap
            sign = 1.0 if tap % 2 == 0 else -1.0
            window = tl.cos(distance * (3.14159265358979 / 8.5))
            sinc = sign * sine / (3.14159265358979 * distance)
            weight = tl.where(tl.abs(distance) < 1e-6, 1.0, sinc * window * window)
            index = whole + tap
            sample = tl.load(base + index, in_clip & (index >= 0) & (index < size), 0)
            value += weight * sample.to(tl.float32)
        total += tl.where(in_clip, value * tl.load(gain + cell), 0.0)
    tl.store(out + row.to(tl.int64) * samples + position, total, in_row)


def cut(pcm: Tensor, placement: Placement, samples: int) -> Tensor:
    """As kernels.cut. All tensors must be contiguous and on the GPU."""
    rows, parts = placement.start.shape
    out = torch.empty((rows, samples), device=pcm.device)
    grid = (rows, triton.cdiv(samples, BLOCK))
    _cut[grid](
        pcm,
        out,
        placement.start,
        placement.length,
        placement.offset,
        placement.speed,
        placement.gain / 32768,
        samples,
        parts,
        BLOCK,
    )
    return out


@triton.jit
def _follow(  # type: ignore[no-untyped-def]
    x, level, time, bands, rise, fall, floor, block: tl.constexpr
):
    band = tl.program_id(1) * block + tl.arange(0, block)
    inside = band < bands
    place = tl.program_id(0).to(tl.int64) * time * bands + band
    state = tl.full((block,), -1000.0, tl.float32)
    for _ in range(time):
        value = tl.load(x + place, inside, -1000.0)
        moved = state + tl.where(value > state, rise, fall) * (value - state)
        moved = tl.where(state < -900.0, value, moved)
        state = tl.where(value > floor, moved, state)
        tl.store(level + place, state, inside)
        place += bands


def follow(loudness: Tensor, rise: float, fall: float, floor: float) -> Tensor:
    """As kernels.follow, on the GPU."""
    loudness = loudness.contiguous()
    level = torch.empty_like(loudness)
    rows, time, bands = loudness.shape
    block = min(64, triton.next_power_of_2(bands))
    grid = (rows, triton.cdiv(bands, block))
    _follow[grid](loudness, level, time, bands, rise, fall, floor, block)
    return level
