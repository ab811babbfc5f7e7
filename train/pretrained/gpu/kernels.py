"""Two loops that torch has no fast form of: cutting clips out of a buffer, and following a level.

On a GPU they are Triton kernels (kernels_cuda.py). The plain versions here define their results.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BEFORE_SOUND = -1000.0  # dB: the level before the first sound
TAPS = range(-3, 5)  # samples around a position that its value is interpolated from


@dataclass(frozen=True)
class Placement:
    """Where clips lie in a buffer, and where they go in rows. Tensors [rows, parts]."""

    start: Tensor  # int64, sample of the row at which a clip begins
    length: Tensor  # int64, samples of the clip; 0: no clip
    offset: Tensor  # int64, sample of the buffer at which the clip begins
    speed: Tensor  # float64, factor of tempo and pitch
    gain: Tensor  # float32, factor of the samples

    def to(self, device: torch.device | str) -> Placement:
        """A copy on `device`."""
        columns = (self.start, self.length, self.offset, self.speed, self.gain)
        return Placement(*(column.to(device) for column in columns))


def cut(pcm: Tensor, placement: Placement, samples: int) -> Tensor:
    """Rows of sound, float32 [rows, samples], each the sum of its clips.

    `pcm`: int16, the buffer. At speed 1 a row holds the samples of the buffer, up to float32's last
    bits. At other speeds a windowed sinc of 8 taps interpolates.
    """
    if not pcm.is_cuda:
        return cut_plainly(pcm, placement, samples)
    from kernels_cuda import cut as cut_fast

    return cut_fast(pcm, placement, samples)


def cut_plainly(pcm: Tensor, placement: Placement, samples: int) -> Tensor:
    """As `cut`, slowly."""
    rows, parts = placement.start.shape
    position = torch.arange(samples, device=pcm.device)
    total = torch.zeros((rows, samples), device=pcm.device)
    for part in range(parts):
        start = placement.start[:, part, None]
        length = placement.length[:, part, None]
        offset = placement.offset[:, part, None]
        gain = placement.gain[:, part, None]
        source = (position - start).double() * placement.speed[:, part, None]
        in_clip = (position >= start) & (source < length)
        whole = source.long()
        fraction = (source - whole).float()
        for tap in TAPS:
            distance = fraction - tap
            weight = torch.sinc(distance) * torch.cos(distance * torch.pi / 8.5) ** 2
            index = whole + tap
            inside = in_clip & (index >= 0) & (index < length)
            sample = pcm[(offset + index).clamp(0, len(pcm) - 1)].float()
            total += weight * torch.where(inside, sample, 0.0) * gain / 32768
    return total


def follow(loudness: Tensor, rise: float, fall: float, floor: float) -> Tensor:
    """The running level, for loudness [rows, time, bands] in dB.

    Each louder frame moves the level by `rise` of the difference, each softer frame by `fall`. The
    level begins at the first frame above `floor`; frames below it do not move it.
    """
    if not loudness.is_cuda:
        return follow_plainly(loudness, rise, fall, floor)
    from kernels_cuda import follow as follow_fast

    return follow_fast(loudness, rise, fall, floor)


def follow_plainly(loudness: Tensor, rise: float, fall: float, floor: float) -> Tensor:
    """As `follow`, slowly."""
    level = torch.full_like(loudness[:, 0], BEFORE_SOUND)
    levels = []
    for value in loudness.unbind(1):
        moved = level + torch.where(value > level, rise, fall) * (value - level)
        moved = torch.where(level == BEFORE_SOUND, value, moved)
        level = torch.where(value > floor, moved, level)
        levels.append(level)
    return torch.stack(levels, 1)
