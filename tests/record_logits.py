"""Records the logits of sound files.

Tests import it here, and run it on emulated boards: `record_logits.py MODEL LOGITS.npz CLIP...`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.network import Logits, Network, States
from ds2edge.runtime.stream import Stream


class Recorder(Network):
    """A network that keeps its logits."""

    recorded: list[Logits]

    def step(self, frames: np.ndarray, states: States) -> tuple[Logits, States]:
        logits, next_states = super().step(frames, states)
        self.recorded.append(logits)
        return logits, next_states


def record(model: str | Path, clips: list[str] | list[Path]) -> dict[str, Logits]:
    """Logits [steps, symbols] by the name of the sound file."""
    network = Recorder(model)
    logits = {}
    for clip in clips:
        network.recorded = []
        audio = AudioFile(clip)
        stream = Stream(network)
        for block in audio.blocks():
            stream.accept(block, audio.rate)
        stream.finish()
        logits[Path(clip).name] = np.concatenate(network.recorded)
    return logits


if __name__ == "__main__":
    np.savez(sys.argv[2], **record(sys.argv[1], sys.argv[3:]))
