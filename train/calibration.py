"""Int8 calibration: ranges are observed on speech; dev decides between the ways to choose them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import ops
from scipy.special import rel_entr, softmax

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Samples
from ds2edge.runtime.specification import Specification
from ds2edge.train.augmentation.augment import augment_samples
from ds2edge.train.calibration_clips import check_speech, choose_clips
from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.text import normalise
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.evaluation.transcriber import KerasTranscriber, Sound
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.observer import METHODS, Observer
from ds2edge.train.model.quantization import Range
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.progress import track
from ds2edge.train.recipe import Augmentation

log = logging.getLogger("ds2edge")

BATCH = 20  # clips observed at once
SEED = 1
WARN_POINTS = 1.0  # points of WER on dev that int8 may cost without a warning


@dataclass(frozen=True)
class Calibration:
    """The ranges of all quantization points, and how they were chosen."""

    ranges: dict[str, Range]
    method: str
    clips: int
    seconds: float
    clipped: dict[str, float]  # share of the observed values outside the range, by point
    dev_wer: dict[str, float]  # percent, of "float" and of each method
    # How far the outputs are from those of the float model on dev, by method: Kullback-Leibler
    # divergence in nats per step.
    divergence: dict[str, float]

    def summary(self) -> str:
        """One line for people."""
        worst = max(self.clipped, key=lambda point: self.clipped[point])
        wers = ", ".join(f"{name} {wer:.2f} %" for name, wer in self.dev_wer.items())
        return (
            f"calibrated on {self.clips} clips, {self.seconds:.0f} s: {len(self.ranges)} points; "
            f"WER on dev: {wers}; {self.method} is kept, whose outputs are the closest to float "
            f"({1000 * self.divergence[self.method]:.2f} millinats per step); it clips at most "
            f"{100 * self.clipped[worst]:.3f} % of the values ({worst})"
        )


def calibrate(
    model: DeepSpeech2,
    specification: Specification,
    clips: list[Clip],
    augmentation: Augmentation,
    methods: tuple[str, ...] = tuple(METHODS),
) -> Calibration:
    """Observes the float model on speech; returns the ranges that change its outputs the least.

    The clips of split train are observed, every other one augmented as in training. The outputs are
    those on split dev. Their divergence says more than the WER, which differs by chance between
    methods on so few words. Other splits replace an empty one. InputError if there is no clip, if
    one cannot be read, or if all are silent.
    """
    rate = specification.features.sample_rate
    chosen = choose_clips(clips, ("train", "dev", "test"))
    sounds = [read_audio(clip.audio, rate) for clip in chosen]
    check_speech(chosen, sounds, rate)
    observer = _observe(model, specification, sounds, augmentation)
    candidates = {method: observer.ranges(method) for method in methods}
    dev_clips = choose_clips(clips, ("dev", "train", "test"))
    wers, divergence = _try_out(model, specification, dev_clips, candidates)
    best = min(methods, key=lambda method: divergence[method])
    if wers[best] > wers["float"] + WARN_POINTS:
        log.warning(
            "int8 raises the WER on dev by %.2f points: calibrate on more speech of more "
            "speakers, or fine-tune with `ds2edge train --qat`",
            wers[best] - wers["float"],
        )
    return Calibration(
        ranges=candidates[best],
        method=best,
        clips=len(chosen),
        seconds=round(sum(map(len, sounds)) / rate, 1),
        clipped=observer.clipped(candidates[best]),
        dev_wer={name: round(wer, 3) for name, wer in wers.items()},
        divergence=divergence,
    )


def _observe(
    model: DeepSpeech2,
    specification: Specification,
    sounds: list[Samples],
    augmentation: Augmentation,
) -> Observer:
    observer = Observer()
    measure = specification.front_end()
    padding = padding_of(model.settings)
    rate = specification.features.sample_rate
    # No batch norm of a conformer has seen a silence as long as one that fills up a batch: its
    # values would make the ranges so wide that speech has only a few levels.
    size = 1 if model.settings.encoder == "conformer" else BATCH
    batches = list(_batches(sounds, rate, augmentation, size))
    for batch in track(batches, f"observing {len(sounds)} clips", len(batches)):
        frames = np.stack([measure.padded(samples, padding) for samples in batch])
        lengths = np.full(len(frames), frames.shape[1], np.int32)
        model.quantized({"features": ops.convert_to_tensor(frames), "lengths": lengths}, observer)
    return observer


def _batches(
    sounds: list[Samples], rate: int, augmentation: Augmentation, size: int
) -> Iterator[list[Samples]]:
    """`size` sounds of similar length together, every other one augmented.

    Silence fills each up to the longest: a device hears silence, too.
    """
    augmentation = _without_missing_folders(augmentation)
    rng = np.random.default_rng(SEED)
    varied = [
        augment_samples(samples, rate, augmentation, rng) if i % 2 else samples
        for i, samples in enumerate(sounds)
    ]
    varied.sort(key=len)
    for first in range(0, len(varied), size):
        batch = varied[first : first + size]
        yield [np.pad(samples, (0, len(batch[-1]) - len(samples))) for samples in batch]


def _without_missing_folders(augmentation: Augmentation) -> Augmentation:
    """Noise and rooms are synthesised where the folder of the training machine is not here."""

    def existing(folder: str | None) -> str | None:
        return folder if folder and Path(folder).is_dir() else None

    return dataclasses.replace(
        augmentation,
        noise_folder=existing(augmentation.noise_folder),
        babble_folder=existing(augmentation.babble_folder),
        room_folder=existing(augmentation.room_folder),
    )


def _try_out(
    model: DeepSpeech2,
    specification: Specification,
    clips: list[Clip],
    candidates: dict[str, dict[str, Range]],
) -> tuple[dict[str, float], dict[str, float]]:
    """What `candidates` do on `clips`: WER in percent, also of "float"; divergence from float."""
    rate = specification.features.sample_rate
    sounds = [
        Sound(number, clip, normalise(clip.text).text, None, read_audio(clip.audio, rate))
        for number, clip in enumerate(clips)
    ]
    sounds = [sound for sound in sounds if sound.reference]
    sounds.sort(key=lambda sound: len(sound.samples))
    references = [sound.reference for sound in sounds]
    trials = [("float", {}), *candidates.items()]
    ranges_before = model.ranges
    wers, probabilities = {}, {}
    try:
        for name, ranges in track(trials, "evaluating ranges on dev", len(trials)):
            model.round_to(ranges)
            transcriber = KerasTranscriber(model, specification)
            logits = [logits for _, logits in transcriber.logits(sounds)]
            wers[name] = score(references, [transcriber.decode(row) for row in logits]).wer
            probabilities[name] = softmax(np.concatenate(logits).astype(np.float64), axis=-1)
    finally:
        model.round_to(ranges_before)
    exact = probabilities.pop("float")
    divergence = {
        name: float(rel_entr(exact, rounded).sum(-1).mean())
        for name, rounded in probabilities.items()
    }
    return wers, divergence
