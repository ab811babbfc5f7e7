"""The recordings that a release is measured on, and what is done to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.pretrained.speech import HALVED, in_dev_half


class Source(NamedTuple):
    """Where the clips of a set are."""

    corpus: str  # folder
    split: str | None  # of the test set; None: all clips
    title: str


SENTENCES = {
    "librispeech": Source("librispeech_heldout4", "test", "LibriSpeech, four unseen speakers"),
    "commonvoice": Source(HALVED, "dev", "Common Voice, new sentences"),
    "ljspeech": Source("ljspeech_part", "test", "LJSpeech, new sentences"),
}
SINGLE_WORDS = {
    "commands": Source("speech_commands_350", None, "Speech Commands, 35 words"),
    "digits": Source("fsdd", "test", "Free Spoken Digit Dataset, 10 words"),
}
TESTS = (*SENTENCES, *SINGLE_WORDS)


@dataclass(frozen=True)
class ClipSet:
    """Clips with normalised texts."""

    title: str
    clips: tuple[Clip, ...]

    @property
    def references(self) -> list[str]:
        """The text of each clip."""
        return [clip.text for clip in self.clips]

    @property
    def vocabulary(self) -> list[str]:
        """All texts, each once."""
        return sorted(set(self.references))

    def every(self, nth: int) -> ClipSet:
        """Every nth clip."""
        return ClipSet(self.title, self.clips[::nth])


def dev_sets(manifest: Path) -> list[ClipSet]:
    """The dev clips of a manifest of speech.py, by corpus. InputError if a corpus has none."""
    clips = read_manifest(manifest, "dev")
    sets = []
    for corpus, _, title in SENTENCES.values():
        chosen = [clip for clip in clips if clip.audio.parent.parent.name == corpus]
        if not chosen:
            raise InputError(f"{manifest}: no dev clip of {corpus}: make it with speech.py")
        sets.append(_clip_set(title, chosen))
    return sets


def held_out_set(name: str, data: Path) -> ClipSet:
    """One of TESTS, from the folder of corpora `data`. InputError if it is not there."""
    corpus, split, title = {**SENTENCES, **SINGLE_WORDS}[name]
    clips = read_manifest(data / corpus / "manifest.jsonl", split)
    if corpus == HALVED:
        clips = [clip for clip in clips if not in_dev_half(clip.audio)]
    return _clip_set(title, clips)


def pooled(sets: Iterable[ClipSet], title: str) -> ClipSet:
    """The clips of several sets as one."""
    return ClipSet(title, tuple(clip for each in sets for clip in each.clips))


def _clip_set(title: str, clips: Iterable[Clip]) -> ClipSet:
    return ClipSet(title, tuple(_normalised(clips)))


def _normalised(clips: Iterable[Clip]) -> Iterator[Clip]:
    for clip in clips:
        yield dataclasses.replace(clip, text=normalise_clip(clip.audio, clip.text))


@dataclass(frozen=True)
class Condition:
    """What is done to recordings before a model hears them."""

    title: str = "as recorded"
    gain_db: float = 0.0  # another level, rounded to 16 bits and clipped
    snr_db: float | None = None  # noise at this ratio
    noise: str | None = None  # folder of sound files; None: coloured noise
    rate: int = 0  # sample rate in Hz; 0: the model's

    def apply(self, samples: Samples, rate: int, name: str) -> tuple[npt.NDArray[Any], int]:
        """Returns the samples and their rate. `name`, of the file, alone decides the noise."""
        if self.snr_db is not None:
            [samples] = at_ratios(samples, rate, self.noise, name, [self.snr_db])
        if self.gain_db:
            louder = np.rint(samples * (32768 * 10 ** (self.gain_db / 20)))
            return np.clip(louder, -32768, 32767).astype(np.int16), rate
        if self.rate:
            return soxr.resample(samples, rate, self.rate), self.rate
        return samples, rate


AS_RECORDED = Condition()


def levels() -> list[Condition]:
    """The same recordings at other levels."""
    quieter = [Condition(f"{gain} dB", gain_db=gain) for gain in (-10, -20, -30)]
    return [AS_RECORDED, *quieter, Condition("+10 dB above full scale, clipped", gain_db=10)]


def noises(folder: str | None) -> list[Condition]:
    """The same recordings with noise."""
    return [
        AS_RECORDED,
        *(Condition(f"{snr} dB", snr_db=snr, noise=folder) for snr in (20, 10, 5)),
    ]


def rates() -> list[Condition]:
    """The same recordings at other sample rates."""
    return [Condition("8 kHz", rate=8000), Condition("44.1 kHz", rate=44100)]
