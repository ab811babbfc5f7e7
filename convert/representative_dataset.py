"""Chunks of real speech for the converter's own calibration, which the 16-bit mode needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ds2edge.convert.export import FloatNetwork
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.network import Rows, States
from ds2edge.runtime.stream import Stream
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.manifest import Clip
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.progress import track

Inputs = tuple[
    str, dict[str, npt.NDArray[np.float32]]
]  # of a signature: its name, and tensors by theirs


def representative_inputs(
    model: DeepSpeech2, specification: Specification, clips: list[Clip]
) -> Iterator[Inputs]:
    """What goes into every signature, chunk after chunk with the float model's own states, each clip followed by the
    silence that a stream ends with."""
    network = _Recorder(model, specification)
    rate = specification.features.sample_rate
    for clip in track(clips, f"calibrating on {len(clips)} clips", len(clips)):
        stream = Stream(network)
        stream.accept(read_audio(clip.audio, rate), rate)
        stream.finish()
        yield from network.taken()


class _Recorder(FloatNetwork):
    """The float network, keeping what goes in."""

    def __init__(self, model: DeepSpeech2, specification: Specification) -> None:
        super().__init__(model, specification)
        self._inputs: list[Inputs] = []

    def run(self, part: str, x: Rows, states: States) -> tuple[Rows, States]:
        own = self.parts[part]
        self._inputs.append(
            (part, {own.input: x} | {state.name: states[state.name] for state in own.states})
        )
        return super().run(part, x, states)

    def taken(self) -> list[Inputs]:
        """What went in since the last call."""
        inputs, self._inputs = self._inputs, []
        return inputs
