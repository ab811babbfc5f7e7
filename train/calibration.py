"""The ranges that int8 gives to what flows through a model: observed on real speech, chosen by the WER on dev."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.runtime.specification import Specification
from ds2edge.train.augmentation.augment import augment_samples
from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.text import normalise
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.evaluation.transcriber import KerasTranscriber, Sound
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.quantization import SATURATION, STEPS, Quantizer, Range, nudge
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.progress import track
from ds2edge.train.recipe import Augmentation

log = logging.getLogger("ds2edge")

METHODS = ("minmax", "percentile", "mse")
CLIPS = 100  # to observe, and to judge by; more widens no range that matters and takes as long as it takes
BATCH = 20  # clips observed at once
SEED = 1
FEW_SECONDS = 30.0  # of speech, below which ranges are too much of the few words in it
SILENT = 10 ** (-50 / 20)  # peak of a clip in which nobody speaks
CUT = 1e-3  # share of samples at full scale above which a clip is distorted
COSTLY = 1.0  # points of WER on dev that int8 should not cost

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Ranges of all quantization points, and what they were chosen by."""

    ranges: dict[str, Range]
    method: str
    clips: int
    seconds: float
    clipped: dict[str, float]  # share of the observed values outside of the range, by point
    dev_wer: dict[str, float]  # percent, of "float" and of each method

    def summary(self) -> str:
        """Lines for people."""
        worst = max(self.clipped, key=lambda point: self.clipped[point])
        tried = ", ".join(f"{name} {wer:.2f} %" for name, wer in self.dev_wer.items())
        return (
            f"calibrated on {self.clips} clips, {self.seconds:.0f} s: {len(self.ranges)} points; WER on dev: {tried}; "
            f"{self.method} is kept, with at most {100 * self.clipped[worst]:.3f} % of the values cut off ({worst})"
        )


def calibrate(
    model: DeepSpeech2,
    specification: Specification,
    clips: list[Clip],
    augmentation: Augmentation,
    methods: tuple[str, ...] = METHODS,
) -> Calibration:
    """Observes the float model on speech and keeps the ranges with which int8 makes the fewest word errors on dev.

    `clips`: those of split train are observed, every other one with the training's own changes; those of split dev
    judge (whatever there is does both in need). InputError if there is none, one cannot be read, or all are silent.
    """
    rate = specification.features.sample_rate
    chosen = choose_clips(clips, ("train", "dev", "test"))
    sounds = [read_audio(clip.audio, rate) for clip in chosen]
    check_speech(chosen, sounds, rate)
    observer = Observer()
    measure = specification.front_end()
    batches = list(_batches(sounds, rate, augmentation))
    for batch in track(batches, f"observing {len(sounds)} clips", len(batches)):
        frames = np.stack(
            [measure.padded(samples, padding_of(model.settings)) for samples in batch]
        )
        lengths = np.full(len(frames), frames.shape[1], np.int32)
        model.quantized({"features": ops.convert_to_tensor(frames), "lengths": lengths}, observer)
    candidates = {method: observer.ranges(method) for method in methods}
    wers = _judge(model, specification, choose_clips(clips, ("dev", "train", "test")), candidates)
    best = min(methods, key=lambda method: wers[method])
    if wers[best] > wers["float"] + COSTLY:
        log.warning(
            "int8 costs %.2f points of WER on dev: calibrate on more and more varied speech, or train on with "
            "`ds2edge train --qat`",
            wers[best] - wers["float"],
        )
    return Calibration(
        ranges=candidates[best],
        method=best,
        clips=len(chosen),
        seconds=round(sum(map(len, sounds)) / rate, 1),
        clipped=observer.clipped(candidates[best]),
        dev_wer={name: round(wer, 3) for name, wer in wers.items()},
    )


def choose_clips(clips: list[Clip], splits: tuple[str, ...]) -> list[Clip]:
    """At most `CLIPS` clips, drawn from the first of the splits that has any."""
    for split in splits:
        if chosen := [clip for clip in clips if clip.split == split]:
            order = np.random.default_rng(SEED).permutation(len(chosen))[:CLIPS]
            return [chosen[i] for i in sorted(order)]
    raise InputError("there is no clip to calibrate on: give a manifest of real speech")


def check_speech(clips: list[Clip], sounds: list[Samples], rate: int) -> None:
    """InputError if nobody speaks in any of the clips; a warning if they are few, partly silent or distorted."""
    peaks = np.array([np.abs(samples).max(initial=0) for samples in sounds])
    silent = [clip.audio for clip, peak in zip(clips, peaks, strict=True) if peak < SILENT]
    if len(silent) == len(clips):
        raise InputError(
            f"all {len(clips)} clips to calibrate on are silent ({silent[0]}, ...): give real speech"
        )
    seconds = sum(map(len, sounds)) / rate
    if seconds < FEW_SECONDS:
        log.warning(
            "only %.1f s of speech in %d clips to calibrate on: other voices will leave the ranges; give a few "
            "minutes",
            seconds,
            len(clips),
        )
    if len(silent) > len(clips) // 10:
        log.warning(
            "%d of %d clips to calibrate on are silent: %s, ...", len(silent), len(clips), silent[0]
        )
    cut = [
        clip.audio
        for clip, samples in zip(clips, sounds, strict=True)
        if (np.abs(samples) >= 0.999).mean() > CUT
    ]
    if len(cut) > len(clips) // 10:
        log.warning(
            "%d of %d clips to calibrate on are clipped: %s, ...", len(cut), len(clips), cut[0]
        )


def _batches(
    sounds: list[Samples], rate: int, augmentation: Augmentation
) -> Iterator[list[Samples]]:
    """About equally long sounds together, each with silence to the longest's end: a device hears that, too."""
    # A run may be converted on another machine than it was trained on; noise and rooms are synthesised there.
    folders = {"noise_folder": augmentation.noise_folder, "room_folder": augmentation.room_folder}
    gone = {name: None for name, folder in folders.items() if folder and not Path(folder).is_dir()}
    augmentation = dataclasses.replace(augmentation, **gone)
    rng = np.random.default_rng(SEED)
    heard = [
        augment_samples(s, rate, augmentation, rng) if i % 2 else s for i, s in enumerate(sounds)
    ]
    heard.sort(key=len)
    for first in range(0, len(heard), BATCH):
        batch = heard[first : first + BATCH]
        yield [np.pad(samples, (0, len(batch[-1]) - len(samples))) for samples in batch]


def _judge(
    model: DeepSpeech2,
    specification: Specification,
    clips: list[Clip],
    candidates: dict[str, dict[str, Range]],
) -> dict[str, float]:
    rate = specification.features.sample_rate
    sounds = [
        Sound(number, clip, normalise(clip.text).text, None, read_audio(clip.audio, rate))
        for number, clip in enumerate(clips)
    ]
    sounds = sorted(
        (sound for sound in sounds if sound.reference), key=lambda sound: len(sound.samples)
    )
    kept, wers = model.ranges, {}
    try:
        for name, ranges in track(
            [("float", {}), *candidates.items()], "judging ranges by dev", 1 + len(candidates)
        ):
            model.round_to(ranges)
            heard = [text for _, text in KerasTranscriber(model, specification).transcribe(sounds)]
            wers[name] = score([sound.reference for sound in sounds], heard).wer
    finally:
        model.round_to(kept)
    return wers


class Observer(Quantizer):
    """Takes down what flows through each point; all else stays as it is."""

    unroll = True

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._random = np.random.default_rng(SEED)

    def __call__(self, point: str, x: Any, fixed: Range | None = None) -> Any:
        """See Quantizer; points whose range is fixed need no observation."""
        if fixed is None:
            values = np.ravel(ops.convert_to_numpy(x))
            self._seen.setdefault(point, _Seen()).add(values, self._random)
        return x

    def ranges(self, method: str) -> dict[str, Range]:
        """Range of every point, by one of `METHODS`."""
        return {
            point: _within_saturation(point, _RANGES[method](seen))
            for point, seen in self._seen.items()
        }

    def clipped(self, ranges: dict[str, Range]) -> dict[str, float]:
        """Share of the values that lie outside of their range by more than rounding, by point.

        Points before a function that saturates there are left out: nothing is lost in them.
        """
        shares = {}
        for point, seen in self._seen.items():
            if _name(point) in SATURATION:
                continue
            low, high = ranges[point]
            rounding = (high - low) / STEPS / 2
            shares[point] = float(
                ((seen.sample < low - rounding) | (seen.sample > high + rounding)).mean()
            )
        return shares


def _within_saturation(point: str, observed: Range) -> Range:
    most = SATURATION.get(_name(point), np.inf)
    return nudge(max(observed[0], -most), min(observed[1], most))


def _name(point: str) -> str:
    return point.rpartition("/")[2]


class _Seen:
    """Lowest and highest value at a point, and some in between."""

    def __init__(self) -> None:
        self.low, self.high, self._samples = np.inf, -np.inf, [np.zeros(0, np.float32)]

    def add(self, values: Values, rng: np.random.Generator) -> None:
        self.low, self.high = (
            min(self.low, float(values.min())),
            max(self.high, float(values.max())),
        )
        self._samples.append(
            values[rng.integers(len(values), size=min(len(values), max(512, len(values) // 64)))]
        )

    @property
    def sample(self) -> Values:
        self._samples = [np.concatenate(self._samples)]
        return self._samples[0]


def _minmax(seen: _Seen) -> Range:
    return seen.low, seen.high


def _percentile(seen: _Seen) -> Range:
    low, high = np.percentile(seen.sample, [0.01, 99.99])
    return float(low), float(high)


def _mse(seen: _Seen) -> Range:
    """The part of the whole range that leaves the least squared error of rounding and cutting off together."""
    sample = seen.sample[:: max(1, len(seen.sample) // 50_000)]
    shares = np.linspace(0.3, 1.0, 36)
    errors = []
    for share in shares:
        low, high = nudge(share * seen.low, share * seen.high)
        scale = (high - low) / STEPS
        rounded = low + scale * np.round((np.clip(sample, low, high) - low) / scale)
        errors.append(float(((rounded - sample) ** 2).mean()))
    best = shares[int(np.argmin(errors))]
    return best * seen.low, best * seen.high


_RANGES = {"minmax": _minmax, "percentile": _percentile, "mse": _mse}
