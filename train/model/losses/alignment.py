"""Where in a clip each symbol of a known text is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import BLANK

Span = tuple[int, int]  # first and last step
IMPOSSIBLE = -1e30


def align_labels(
    log_probs: npt.NDArray[np.float32], labels: Sequence[Sequence[int]], steps: npt.NDArray[Any]
) -> list[list[Span]]:
    """The span of each label on the most probable path of its clip (Viterbi, all clips at once).

    `log_probs` [clips, steps, symbols]; `labels` of each clip, without blanks; `steps` of each clip
    that are real. A clip must have at least as many steps as labels, and one more for each label
    that repeats the one before.
    """
    states = _states(labels)
    clips, length = len(labels), log_probs.shape[1]
    emitted = np.take_along_axis(
        log_probs, np.broadcast_to(states[:, None], (clips, length, states.shape[1])), 2
    )
    # Two states back is the label before, unless that is the same label.
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    scores = np.full((clips, length, states.shape[1]), IMPOSSIBLE)
    scores[:, 0, :2] = emitted[:, 0, :2]
    came = np.zeros(scores.shape, np.int8)  # how many states back the best path was
    for t in range(1, length):
        last = scores[:, t - 1]
        options = np.full((3, *last.shape), IMPOSSIBLE)
        options[0] = last
        options[1, :, 1:] = last[:, :-1]
        options[2, :, 2:] = last[:, :-2]
        options[2][~skips] = IMPOSSIBLE
        came[:, t] = options.argmax(0)
        scores[:, t] = options.max(0) + emitted[:, t]
    return [
        _spans(scores[i, steps[i] - 1], came[i, : steps[i]], len(text))
        for i, text in enumerate(labels)
    ]


def _states(labels: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Labels with a blank before, between and after them: [clips, states], padded with blanks."""
    states = np.full((len(labels), 2 * max(map(len, labels), default=0) + 2), BLANK)
    for row, text in zip(states, labels, strict=True):
        row[1 : 2 * len(text) : 2] = text
    return states


def _spans(ends: npt.NDArray[Any], came: npt.NDArray[np.int8], count: int) -> list[Span]:
    """Follows the best path back from the last step."""
    if not count:
        return []
    state = 2 * count if ends[2 * count] > ends[2 * count - 1] else 2 * count - 1
    spans: list[Span] = [(0, 0)] * count
    last = [-1] * count
    for t in range(len(came) - 1, -1, -1):
        if state % 2:
            label = state // 2
            if last[label] < 0:
                last[label] = t
            spans[label] = (t, last[label])
        state -= int(came[t, state])
    return spans
