"""What the quantizer chooses its ranges by: real speech in order, with the float model's own states carried along."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.convert.export import FloatNetwork
from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.network import Logits, States
from ds2edge.runtime.recognizer import Stream
from ds2edge.runtime.specification import Specification
from ds2edge.train.augmentation import augment_samples
from ds2edge.train.manifest import Clip
from ds2edge.train.model import DeepSpeech2
from ds2edge.train.progress import track
from ds2edge.train.recipe import Augmentation

CLIPS = 100  # drawn from the manifest; more widens no range that matters and takes as long as it takes
SEED = 1

Inputs = dict[str, npt.NDArray[np.float32]]


def choose_clips(clips: list[Clip]) -> list[Clip]:
    """At most `CLIPS` clips to calibrate on, of split train if there are any, of dev otherwise; test only in need."""
    for split in ("train", "dev", "test"):
        if chosen := [clip for clip in clips if clip.split == split]:
            order = np.random.default_rng(SEED).permutation(len(chosen))[:CLIPS]
            return [chosen[i] for i in sorted(order)]
    return []


def calibration_inputs(
    model: DeepSpeech2, specification: Specification, clips: list[Clip], augmentation: Augmentation
) -> Iterator[Inputs]:
    """Inputs of the step graph by name, chunk after chunk, each clip followed by the silence that a stream ends with.

    Every other clip goes through the training's own changes of speed, gain and noise: a device hears those too.
    """
    # A run may be converted on another machine than it was trained on; noise and rooms are synthesised there.
    folders = {"noise_folder": augmentation.noise_folder, "room_folder": augmentation.room_folder}
    gone = {name: None for name, folder in folders.items() if folder and not Path(folder).is_dir()}
    augmentation = dataclasses.replace(augmentation, **gone)
    network = _Recorder(model, specification)
    random = np.random.default_rng(SEED)
    rate = specification.features.sample_rate
    for number, clip in enumerate(track(clips, f"calibrating on {len(clips)} clips", len(clips))):
        samples = read_audio(clip.audio, rate)
        if number % 2:
            samples = augment_samples(samples, rate, augmentation, random)
        stream = Stream(network)
        stream.accept(samples, rate)
        stream.finish()
        yield from network.taken()


class _Recorder(FloatNetwork):
    """The float network, keeping what goes in."""

    def __init__(self, model: DeepSpeech2, specification: Specification) -> None:
        super().__init__(model, specification)
        self._inputs: list[Inputs] = []

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        self._inputs.append({"features": frames[None], **states})
        return super().step(frames, states)

    def taken(self) -> list[Inputs]:
        """What went in since the last call."""
        inputs, self._inputs = self._inputs, []
        return inputs
