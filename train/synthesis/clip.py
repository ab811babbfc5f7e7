"""Makes one clip: a voice says a sentence, and the samples are trimmed, scaled and encoded."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from ds2edge.runtime.features import Samples
from ds2edge.train.data.text import normalise
from ds2edge.train.synthesis.line import Line
from ds2edge.train.synthesis.voice import RATE, Voice
from ds2edge.train.synthesis.voices import engine_of

# How many clips an engine says, in proportion. Cheap and clear engines say more: docs/synthesis.md
# has the figures. The voices of an engine say equally many.
SHARES = {"hibari": 6.0, "piper": 3.0, "kokoro": 2.0, "flite": 1.0, "espeak": 0.5}
OTHER_SHARE = 2.0  # of an engine that is not in this table
MOST_EDGE = 0.15  # seconds of silence that stay at an end


@dataclass(frozen=True)
class Task:
    """A clip to make. With the voices, this decides everything about it."""

    number: int
    line: Line
    seed: int

    @property
    def file(self) -> str:
        """Path of the clip in the folder of the job."""
        return f"audio/{self.number:07d}.opus"

    def rng(self) -> random.Random:
        """The random numbers of this clip. The first of them choose the voice."""
        return random.Random(f"{self.seed}|{self.number}")

    def row(self, voice: Voice, seconds: float) -> dict[str, str | float]:
        """The clip's line of the manifest."""
        row: dict[str, str | float] = {
            "audio": self.file,
            "text": normalise(self.line.text).text,
            "duration": seconds,
            "split": self.line.split,
            "speaker": voice.name,
            "corpus": f"synthetic_{engine_of(voice.name)}",
            "kind": self.line.kind,
        }
        return row if self.line.weight == 1 else row | {"weight": self.line.weight}


def draw_voice(voices: Sequence[Voice], rng: random.Random) -> Voice:
    """One of the voices, with engines in proportion to their shares."""
    engines = sorted({engine_of(voice.name) for voice in voices})
    shares = [SHARES.get(engine, OTHER_SHARE) for engine in engines]
    [engine] = rng.choices(engines, shares)
    return rng.choice([voice for voice in voices if engine_of(voice.name) == engine])


@dataclass(frozen=True)
class SpokenClip:
    """A clip that was made: its line of the manifest, and its Ogg Opus file."""

    row: dict[str, str | float]
    sound: bytes


def make_clip(task: Task, voices: Sequence[Voice]) -> SpokenClip | str:
    """The clip, or why there is none."""
    rng = task.rng()
    voice = draw_voice(voices, rng)
    text = normalise(task.line.text).text
    try:
        if not text:
            raise ValueError("it has no letters")
        samples = scale(voice.say(text, rng), rng.uniform(0.2, 0.9))
        samples = trim(samples, *(rng.uniform(0, MOST_EDGE) for _ in range(2)))
    except Exception as error:  # engines fail in many ways on odd words
        return f"{voice.name} cannot say {task.line.text!r} ({error})"
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="OGG", subtype="OPUS")
    return SpokenClip(task.row(voice, round(len(samples) / RATE, 3)), file.getvalue())


def scale(samples: Samples, peak: float) -> Samples:
    """Samples with this peak. ValueError if there is no sound."""
    loudest = np.abs(samples).max(initial=0.0)
    if not 1e-3 < loudest < np.inf:
        raise ValueError("no sound")
    return samples * np.float32(peak / loudest)


def trim(samples: Samples, before: float, after: float) -> Samples:
    """Cuts the silence at both ends to so many seconds. Silence is 40 dB below the loud frames."""
    hop = RATE // 100
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    if not len(frames):
        return samples
    level = np.sqrt((frames.astype(np.float64) ** 2).mean(1))
    loud = np.flatnonzero(level > 0.01 * np.percentile(level, 95))
    first = loud[0] * hop - round(before * RATE)
    return samples[max(0, first) : (loud[-1] + 1) * hop + round(after * RATE)]
