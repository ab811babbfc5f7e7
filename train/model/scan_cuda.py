"""The recurrence of scan.py as two Triton kernels for CUDA: states and gradient.

A loop of small operations would spend most of its time on kernel launches.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

BLOCK = 64  # units that one program computes


@triton.jit
def _forward(forget, increment, states, time, units, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < units
    place = tl.program_id(0).to(tl.int64) * time * units + unit
    state = tl.zeros((BLOCK,), tl.float32)
    for _ in range(time):
        state = tl.load(forget + place, inside, 0.0) * state + tl.load(
            increment + place, inside, 0.0
        )
        tl.store(states + place, state, inside)
        place += units


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    forget, states, by_output, by_forget, by_increment, time, units, BLOCK: tl.constexpr
):
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < units
    place = (tl.program_id(0).to(tl.int64) * time + time - 1) * units + unit
    later = tl.zeros((BLOCK,), tl.float32)
    for t in range(time):
        by_state = tl.load(by_output + place, inside, 0.0) + later
        later = tl.load(forget + place, inside, 0.0) * by_state
        before = tl.load(states + place - units, inside & (t < time - 1), 0.0)
        tl.store(by_increment + place, by_state, inside)
        tl.store(by_forget + place, by_state * before, inside)
        place -= units


class Scan(torch.autograd.Function):
    """`scan` of float32 `forget` and `increment` [batch, time, units] on a GPU."""

    @staticmethod
    def forward(context: Any, forget: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        """Called by `Scan.apply`."""
        forget = forget.contiguous()
        increment = increment.contiguous()
        states = torch.empty_like(increment)
        batch, time, units = increment.shape
        _forward[(batch, triton.cdiv(units, BLOCK))](forget, increment, states, time, units, BLOCK)
        context.save_for_backward(forget, states)
        return states

    @staticmethod
    def backward(context: Any, by_output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by `loss.backward()`."""
        forget, states = context.saved_tensors
        by_output = by_output.contiguous()
        by_forget = torch.empty_like(forget)
        by_increment = torch.empty_like(forget)
        batch, time, units = states.shape
        _backward[(batch, triton.cdiv(units, BLOCK))](
            forget, states, by_output, by_forget, by_increment, time, units, BLOCK
        )
        return by_forget, by_increment
