"""Type names for the tensors of a Keras backend, which have no common type."""

from __future__ import annotations

from typing import Any

Tensor = Any
States = dict[str, Tensor]  # what a layer, or a model, carries from one chunk to the next
Shapes = dict[str, tuple[int, ...]]
