"""All speech of a training in one buffer, and random batches of rows of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.text import normalise
from ds2edge.train.progress import track

PARTS = 3  # most clips in a row
MAX_SECONDS = 18.0  # of a row of several clips, at speed 1
MAX_ROWS = 1024  # in a batch
UNCHANGED = 0.25  # share of clips at their own speed
MAX_GAP = 0.5  # seconds before a clip

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Speech:
    """Clips, and their samples one after the other in one buffer."""

    clips: list[Clip]
    texts: list[str]  # normalised
    labels: list[list[int]]
    pcm: npt.NDArray[np.int16]
    offset: Int64s  # of each clip in `pcm`
    samples: Int64s  # of each clip


@dataclass(frozen=True)
class Rows:
    """A batch whose rows hold one to `PARTS` clips each. Arrays [rows, PARTS]."""

    clip: Int64s  # number of the clip; -1: none
    start: Int64s  # sample of the row at which the clip begins
    speed: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float32]
    ends: Int64s  # [rows], samples of each row


def read_speech(clips: Sequence[Clip], rate: int, encode: Callable[[str], list[int]]) -> Speech:
    """Decodes clips in worker processes; leaves out those of weight 0 or without a letter.

    `encode` turns a text into labels. InputError if a clip cannot be read.
    """
    texts = [normalise(clip.text).text for clip in clips]
    usable = [i for i, clip in enumerate(clips) if clip.weight and texts[i]]
    tasks = (delayed(read_int16)(clips[i].audio, rate) for i in usable)
    decoded = Parallel(n_jobs=-1, return_as="generator", batch_size=32)(tasks)
    sounds = list(track(decoded, f"decoding {len(usable)} clips", len(usable)))
    get_reusable_executor().shutdown()
    samples = np.array([len(sound) for sound in sounds], np.int64)
    return Speech(
        [clips[i] for i in usable],
        [texts[i] for i in usable],
        [encode(texts[i]) for i in usable],
        np.concatenate(sounds) if sounds else np.zeros(0, np.int16),
        np.cumsum(samples) - samples,
        samples,
    )


def read_int16(path: Path, rate: int) -> npt.NDArray[np.int16]:
    """The samples of a clip as the kit reads it, rounded to 16 bits."""
    samples = np.round(read_audio(path, rate) * 32768).clip(-32768, 32767)
    rounded: npt.NDArray[np.int16] = samples.astype(np.int16)
    return rounded


class Drawing:
    """Draws rows of train clips at random: which clips, how fast, how loud, with which gaps."""

    def __init__(
        self,
        speech: Speech,
        chances: npt.NDArray[np.float64],
        rate: int,
        speed: tuple[float, float],
        joined: float,
        seed: int,
    ) -> None:
        """`chances`: relative probability of each clip.

        `joined`: share of rows that hold several clips, if these are short enough.
        """
        self.speech = speech
        self.chances = chances / chances.sum()
        self.rate = rate
        self.speed = speed
        self.joined = joined
        self.rng = np.random.default_rng(seed)

    def draw(self, batches: int, batch: float) -> list[Rows]:
        """About `batches` batches of `batch` seconds.

        Rows of a batch have similar lengths; the order of the batches is random.
        """
        sizes = self.speech.samples
        rng = self.rng
        mean = float((self.chances * sizes).sum()) / self.rate
        count = int(batches * batch / mean) + PARTS
        drawn = rng.choice(len(sizes), count, p=self.chances)
        several = rng.random(count) < self.joined
        wanted = np.where(several, rng.integers(2, PARTS + 1, count), 1)
        rows = []
        i = 0
        while i + PARTS <= count:
            parts = int(wanted[i])
            while parts > 1 and sizes[drawn[i : i + parts]].sum() > MAX_SECONDS * self.rate:
                parts -= 1
            rows.append([*drawn[i : i + parts], *[-1] * (PARTS - parts)])
            i += parts
        clip = np.array(rows, np.int64)
        drawn_batches = self._batches(clip, *self._vary(clip), batch, spread=0.05)
        return [drawn_batches[i] for i in rng.permutation(len(drawn_batches))]

    def plain(self, chosen: Sequence[int], batch: float) -> list[Rows]:
        """Batches of `batch` seconds of unchanged clips, each alone in its row."""
        clip = np.full((len(chosen), PARTS), -1, np.int64)
        clip[:, 0] = chosen
        speed = np.ones(clip.shape)
        gain = np.ones(clip.shape, np.float32)
        gap = np.zeros(clip.shape, np.int64)
        return self._batches(clip, speed, gain, gap, batch)

    def _vary(self, clip: Int64s) -> tuple[Any, Any, Any]:
        """Random speed and gain of each clip, and the gap before it in samples."""
        rng = self.rng
        shape = clip.shape
        speed = rng.uniform(*self.speed, shape)
        speed = np.where(rng.random(shape) < UNCHANGED, 1.0, speed)
        decibels = np.where(clip[:, 1:2] >= 0, rng.uniform(-8, 8, shape), 0.0)
        later = (rng.random((len(clip), 1)) < 0.7) | (np.arange(PARTS) > 0)
        gap = rng.uniform(0.0, MAX_GAP, shape) * later * self.rate
        return speed, (10 ** (decibels / 20)).astype(np.float32), gap.astype(np.int64)

    def _batches(
        self,
        clip: Int64s,
        speed: Any,
        gain: Any,
        gap: Any,
        batch: float,
        spread: float = 0.0,
    ) -> list[Rows]:
        """Batches of rows of similar length; `spread`: random share by which the order may vary."""
        real = clip >= 0
        length = np.where(real, (self.speech.samples[clip] / speed).astype(np.int64), 0)
        start = np.cumsum(length + np.where(real, gap, 0), 1) - length
        ends = start[:, -1] + length[:, -1]
        ranks = -ends * self.rng.uniform(1 - spread, 1 + spread, len(ends))
        groups: list[list[int]] = [[]]
        longest = 0
        for row in np.argsort(ranks, kind="stable").tolist():
            longest = max(longest, int(ends[row]))
            size = len(groups[-1]) + 1
            if size > 1 and (size * longest > batch * self.rate or size > MAX_ROWS):
                groups.append([])
                longest = int(ends[row])
            groups[-1].append(row)
        return [Rows(*(x[group] for x in (clip, start, speed, gain, ends))) for group in groups]


def shares(speech: Speech, synthetic: Sequence[bool], share: float) -> npt.NDArray[np.float64]:
    """Relative probability of each clip: 0 outside split train, otherwise by its weight.

    `synthetic`: which clips are; they get `share` of the time, but each is at most twice as likely
    as a real one. InputError if no clip of split train is real.
    """
    weights = np.array([clip.weight * (clip.split == "train") for clip in speech.clips])
    is_synthetic = np.array(synthetic, bool)
    weighted = weights * speech.samples
    real_time = float(weighted[~is_synthetic].sum())
    synthetic_time = float(weighted[is_synthetic].sum())
    if not real_time:
        raise InputError("no clip of split 'train' to learn from")
    if synthetic_time:
        weights[is_synthetic] *= min(2.0, share / (1 - share) * real_time / synthetic_time)
    return weights
