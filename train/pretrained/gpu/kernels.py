"""Two loops that torch has no fast form of: cutting clips out of a buffer, and following a level.

On a GPU they are Triton kernels (kernels_cuda.py); their plain twins here say what those compute.
"""

from __future__ import annotations

import torch
from torch import Tensor

BEFORE_SOUND = -1000.0  # dB: the level where nothing was heard yet
TAPS = range(-3, 5)  # samples around a place that its value is interpolated from


def cut(
    pcm: Tensor,
    start: Tensor,
    length: Tensor,
    offset: Tensor,
    speed: Tensor,
    gain: Tensor,
    samples: int,
) -> Tensor:
    """Rows of sound, float32 [rows, samples], each put together from several clips in one buffer.

    pcm: int16. The others are [rows, parts]: where in the row a clip starts, its length and its
    offset in the buffer (int64, samples), its speed (float64) and its gain (float32). At speed 1
    the samples are those of the buffer, to float32's last bits; at others a windowed sinc of 8 taps
    interpolates.
    """
    if not pcm.is_cuda:
        return cut_plainly(pcm, start, length, offset, speed, gain, samples)
    from kernels_cuda import cut as cut_fast

    return cut_fast(pcm, start, length, offset, speed, gain, samples)


def cut_plainly(
    pcm: Tensor,
    start: Tensor,
    length: Tensor,
    offset: Tensor,
    speed: Tensor,
    gain: Tensor,
    samples: int,
) -> Tensor:
    """As `cut`, slowly."""
    position = torch.arange(samples, device=pcm.device)
    total = torch.zeros((len(start), samples), device=pcm.device)
    for part in range(start.shape[1]):
        first, size, base, step = (x[:, part, None] for x in (start, length, offset, speed))
        source = (position - first).double() * step
        heard = (position >= first) & (source < size)
        whole = source.long()
        rest = (source - whole).float()
        for tap in TAPS:
            at = rest - tap
            weight = torch.sinc(at) * torch.cos(at * torch.pi / 8.5) ** 2
            index = whole + tap
            inside = heard & (index >= 0) & (index < size)
            sample = pcm[(base + index).clamp(0, len(pcm) - 1)].float()
            total += weight * torch.where(inside, sample, 0.0) * gain[:, part, None] / 32768
    return total


def follow(loudness: Tensor, rise: float, fall: float, floor: float) -> Tensor:
    """The level of the sound so far, of loudness [rows, time, 1] in dB.

    It goes `rise` of the way to a louder frame, `fall` of the way to a softer one, and begins with
    the first frame above the floor; frames below the floor do not move it.
    """
    if not loudness.is_cuda:
        return follow_plainly(loudness, rise, fall, floor)
    from kernels_cuda import follow as follow_fast

    return follow_fast(loudness, rise, fall, floor)


def follow_plainly(loudness: Tensor, rise: float, fall: float, floor: float) -> Tensor:
    """As `follow`, slowly."""
    state = torch.full_like(loudness[:, 0], BEFORE_SOUND)
    levels = []
    for value in loudness.unbind(1):
        moved = state + torch.where(value > state, rise, fall) * (value - state)
        moved = torch.where(state == BEFORE_SOUND, value, moved)
        state = torch.where(value > floor, moved, state)
        levels.append(state)
    return torch.stack(levels, 1)
