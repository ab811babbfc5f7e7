"""All speech of a training in one buffer, and batches of rows drawn from it."""

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

PARTS = 3  # clips in a row, at most
LONGEST = 18.0  # seconds of a row of several clips, at speed 1
MOST_ROWS = 1024  # in a batch
UNCHANGED = 0.25  # share of clips at their own speed
GAP = 0.5  # seconds before a clip, at most

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Speech:
    """Clips, and their sound one after the other; `offset` and `samples` say where each lies."""

    clips: list[Clip]
    texts: list[str]  # normalised
    labels: list[list[int]]
    pcm: npt.NDArray[np.int16]
    offset: Whole
    samples: Whole


@dataclass(frozen=True)
class Rows:
    """A batch: each row is one to `PARTS` clips. [rows, PARTS], `ends` [rows]; times in samples."""

    clip: Whole  # number of the clip; -1: none
    start: Whole
    speed: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float32]
    ends: Whole


def read_speech(clips: Sequence[Clip], rate: int, encode: Callable[[str], list[int]]) -> Speech:
    """Decodes clips in worker processes; those of weight 0 or without a letter are left out.

    InputError if one cannot be read.
    """
    texts = [normalise(clip.text).text for clip in clips]
    kept = [i for i, clip in enumerate(clips) if clip.weight and texts[i]]
    tasks = (delayed(read_int16)(clips[i].audio, rate) for i in kept)
    decoded = Parallel(n_jobs=-1, return_as="generator", batch_size=32)(tasks)
    sounds = list(track(decoded, f"decoding {len(kept)} clips", len(kept)))
    get_reusable_executor().shutdown()
    samples = np.array([len(sound) for sound in sounds], np.int64)
    return Speech(
        [clips[i] for i in kept],
        [texts[i] for i in kept],
        [encode(texts[i]) for i in kept],
        np.concatenate(sounds) if sounds else np.zeros(0, np.int16),
        np.cumsum(samples) - samples,
        samples,
    )


def read_int16(path: Path, rate: int) -> npt.NDArray[np.int16]:
    """A clip as the kit reads it, in steps of 16 bits."""
    samples = np.round(read_audio(path, rate) * 32768).clip(-32768, 32767)
    whole: npt.NDArray[np.int16] = samples.astype(np.int16)
    return whole


class Drawing:
    """Draws rows of train clips: which clips meet, how fast, how loud and with what gaps."""

    def __init__(
        self,
        speech: Speech,
        chances: npt.NDArray[np.float64],
        rate: int,
        speed: tuple[float, float],
        joined: float,
        seed: int,
    ) -> None:
        """`chances`: how likely each clip is, in proportion; `joined`: share of rows that hold
        several clips, as far as they are short enough."""
        self.speech, self.chances = speech, chances / chances.sum()
        self.rate, self.speed, self.joined = rate, speed, joined
        self.rng = np.random.default_rng(seed)

    def draw(self, batches: int, batch: float) -> list[Rows]:
        """About so many batches of `batch` seconds: sorted by length, in an order that is drawn."""
        sizes, rng = self.speech.samples, self.rng
        mean = float((self.chances * sizes).sum()) / self.rate
        count = int(batches * batch / mean) + PARTS
        drawn = rng.choice(len(sizes), count, p=self.chances)
        several = rng.random(count) < self.joined
        wanted = np.where(several, rng.integers(2, PARTS + 1, count), 1)
        rows, i = [], 0
        while i + PARTS <= count:
            parts = int(wanted[i])
            while parts > 1 and sizes[drawn[i : i + parts]].sum() > LONGEST * self.rate:
                parts -= 1
            rows.append([*drawn[i : i + parts], *[-1] * (PARTS - parts)])
            i += parts
        clip = np.array(rows, np.int64)
        made = self._batches(clip, *self._vary(clip), batch, spread=0.05)
        return [made[i] for i in rng.permutation(len(made))]

    def plain(self, chosen: Sequence[int], batch: float) -> list[Rows]:
        """Batches of the clips as they are, each alone in its row."""
        clip = np.full((len(chosen), PARTS), -1, np.int64)
        clip[:, 0] = chosen
        speed, gain = np.ones(clip.shape), np.ones(clip.shape, np.float32)
        return self._batches(clip, speed, gain, np.zeros(clip.shape, np.int64), batch)

    def _vary(self, clip: Whole) -> tuple[Any, Any, Any]:
        """Speed, gain and the gap before each clip."""
        rng, shape = self.rng, clip.shape
        speed = rng.uniform(*self.speed, shape)
        speed = np.where(rng.random(shape) < UNCHANGED, 1.0, speed)
        decibels = np.where(clip[:, 1:2] >= 0, rng.uniform(-8, 8, shape), 0.0)
        later = (rng.random((len(clip), 1)) < 0.7) | (np.arange(PARTS) > 0)
        gap = rng.uniform(0.0, GAP, shape) * later * self.rate
        return speed, (10 ** (decibels / 20)).astype(np.float32), gap.astype(np.int64)

    def _batches(
        self,
        clip: Whole,
        speed: Any,
        gain: Any,
        gap: Any,
        batch: float,
        spread: float = 0.0,
    ) -> list[Rows]:
        """Rows of about equal length together; `spread`: how far from the order of length."""
        real = clip >= 0
        heard = np.where(real, (self.speech.samples[clip] / speed).astype(np.int64), 0)
        start = np.cumsum(heard + np.where(real, gap, 0), 1) - heard
        ends = start[:, -1] + heard[:, -1]
        ranks = -ends * self.rng.uniform(1 - spread, 1 + spread, len(ends))
        groups: list[list[int]] = [[]]
        longest = 0
        for row in np.argsort(ranks, kind="stable").tolist():
            longest = max(longest, int(ends[row]))
            size = len(groups[-1]) + 1
            if size > 1 and (size * longest > batch * self.rate or size > MOST_ROWS):
                groups.append([])
                longest = int(ends[row])
            groups[-1].append(row)
        return [Rows(*(x[group] for x in (clip, start, speed, gain, ends))) for group in groups]


def shares(speech: Speech, synthetic: Sequence[bool], share: float) -> npt.NDArray[np.float64]:
    """How likely each clip is drawn: train clips by their weight, `share` of all seconds synthetic.

    A synthetic clip is at most twice as likely as a real one. InputError without a real one.
    """
    weights = np.array([clip.weight * (clip.split == "train") for clip in speech.clips])
    made = np.array(synthetic, bool)
    real, fake = (float((weights * speech.samples)[which].sum()) for which in (~made, made))
    if not real:
        raise InputError("no clip of split 'train' to learn from")
    if fake:
        weights[made] *= min(2.0, share / (1 - share) * real / fake)
    return weights
