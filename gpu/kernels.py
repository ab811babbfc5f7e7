"""Triton kernels of gpu training: cutting clips out of one long buffer at any speed, and following a level."""

import torch
import triton
import triton.language as tl

BLOCK = 512


@triton.jit
def _cut(pcm, out, start, length, offset, speed, gain, samples, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    p = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = p < samples
    total = tl.zeros((BLOCK,), tl.float32)
    for part in tl.static_range(PARTS):
        place = row * PARTS + part
        first, size, step = tl.load(start + place), tl.load(length + place), tl.load(speed + place)
        source = (p - first).to(tl.float64) * step
        heard = inside & (p >= first) & (source < size)
        whole = source.to(tl.int64)
        rest = (source - whole).to(tl.float32)
        sine = tl.sin(rest * 3.14159265358979)
        base = pcm + tl.load(offset + place)
        value = tl.zeros((BLOCK,), tl.float32)
        for tap in tl.static_range(-3, 5):
            at = rest - tap
            sign = 1.0 if tap % 2 == 0 else -1.0
            window = tl.cos(at * (3.14159265358979 / 8.5))
            weight = tl.where(tl.abs(at) < 1e-6, 1.0, sign * sine / (3.14159265358979 * at) * window * window)
            index = whole + tap
            sample = tl.load(base + index, heard & (index >= 0) & (index < size), 0)
            value += weight * sample.to(tl.float32)
        total += tl.where(heard, value * tl.load(gain + place), 0.0)
    tl.store(out + row.to(tl.int64) * samples + p, total, inside)


def cut(pcm, start, length, offset, speed, gain, samples):
    """[rows, parts] each (int64, speed float64, gain float32) -> float32 [rows, samples] in units of full scale."""
    if not pcm.is_cuda:
        return cut_plainly(pcm, start, length, offset, speed, gain, samples)
    rows, parts = start.shape
    out = torch.empty((rows, samples), device=pcm.device)
    _cut[(rows, triton.cdiv(samples, BLOCK))](pcm, out, start, length, offset, speed, gain / 32768, samples, parts, BLOCK)
    return out


@triton.jit
def _follow(x, level, time, bands, rise, fall, floor, BLOCK: tl.constexpr):
    band = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = band < bands
    place = tl.program_id(0).to(tl.int64) * time * bands + band
    state = tl.full((BLOCK,), -1000.0, tl.float32)
    for _ in range(time):
        value = tl.load(x + place, inside, -1000.0)
        moved = state + tl.where(value > state, rise, fall) * (value - state)
        moved = tl.where(state < -900.0, value, moved)
        state = tl.where(value > floor, moved, state)
        tl.store(level + place, state, inside)
        place += bands


def follow(x, rise, fall, floor):
    """The level of x [rows, time, bands] in dB: it rises and falls by so much of the way a frame, and begins with the first
    frame above the floor; -1000 before it."""
    if not x.is_cuda:
        return follow_plainly(x, rise, fall, floor)
    x = x.contiguous()
    level = torch.empty_like(x)
    rows, time, bands = x.shape
    block = min(64, triton.next_power_of_2(bands))
    _follow[(rows, triton.cdiv(bands, block))](x, level, time, bands, rise, fall, floor, block)
    return level


def cut_plainly(pcm, start, length, offset, speed, gain, samples):
    """As `cut`, slowly."""
    p = torch.arange(samples, device=pcm.device)
    total = torch.zeros((len(start), samples), device=pcm.device)
    for part in range(start.shape[1]):
        first, size, base, step = (x[:, part, None] for x in (start, length, offset, speed))
        source = (p - first).double() * step
        heard = (p >= first) & (source < size)
        whole = source.long()
        rest = (source - whole).float()
        for tap in range(-3, 5):
            at = rest - tap
            weight = torch.sinc(at) * torch.cos(at * torch.pi / 8.5) ** 2
            index = whole + tap
            inside = heard & (index >= 0) & (index < size)
            sample = torch.where(inside, pcm[(base + index).clamp(0, len(pcm) - 1)].float(), 0.0)
            total += weight * sample * gain[:, part, None] / 32768
    return total


def follow_plainly(x, rise, fall, floor):
    """As `follow`, slowly."""
    state = torch.full_like(x[:, 0], -1000.0)
    levels = []
    for t in range(x.shape[1]):
        value = x[:, t]
        moved = state + torch.where(value > state, rise, fall) * (value - state)
        moved = torch.where(state < -900, value, moved)
        state = torch.where(value > floor, moved, state)
        levels.append(state)
    return torch.stack(levels, 1)
