"""What a model makes of clips that say phrases, near misses or other speech."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.decoding.ctc import Meaning
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.stream import Result
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.data.text import normalise
from ds2edge.train.progress import track
from ds2edge.train.words.sentences import PHRASE

SNRS = (24.0, 12.0, 6.0)  # dB
NO_NOISE = "no noise"
AROUND = 1.0  # seconds before and after a clip, silent or with noise


@dataclass(frozen=True)
class Sample:
    """A clip to measure with."""

    audio: Path
    kind: str
    voice: str
    duration: float  # seconds
    text: str
    meaning: Meaning | None  # None: a phrase without an intent, or no phrase


@dataclass(frozen=True)
class Answer:
    """What a model made of a clip, whatever its confidence."""

    kind: str
    voice: str
    noise: str  # NO_NOISE, or level and kind, such as "12 dB babble"
    duration: float  # seconds
    expected: str
    text: str  # "": nothing was recognised
    confidence: float
    right: bool
    expected_intent: str = ""
    intent: str = ""


def read_samples(manifest: Path, phrases: Phrases) -> list[Sample]:
    """The clips of a manifest, with what each means by the phrases.

    A clip without a `kind` says a phrase. Its line may have `intent` and `slots` in place of
    `text`. InputError for a text without a `kind` that is no phrase.
    """
    rows = [json.loads(line) for line in read_text(manifest).split("\n") if line]
    return [_sample(row, manifest, phrases) for row in rows]


def _sample(row: dict[str, Any], manifest: Path, phrases: Phrases) -> Sample:
    kind = row.get("kind", PHRASE)
    if "intent" in row:
        meaning: Meaning | None = Meaning(row["intent"], row.get("slots", {}))
        text = row.get("text") or describe(meaning)
    else:
        text = normalise(row["text"]).text
        meaning = phrases.meaning(text)
        if kind == PHRASE and not meaning and phrases.grammar.match(text) is None:
            raise InputError(f"{manifest}: '{text}' is none of the phrases")
    return Sample(
        audio=manifest.parent / row["audio"],
        kind=kind,
        voice=str(row.get("speaker") or ""),
        duration=float(row.get("duration", 0)),
        text=text,
        meaning=meaning,
    )


def describe(meaning: Meaning | None) -> str:
    """Intent and slots as text."""
    if meaning is None:
        return ""
    slots = ", ".join(f"{name} {value}" for name, value in sorted(meaning.slots.items()))
    return f"{meaning.intent} ({slots})" if slots else meaning.intent


def measure(
    recognizer: Recognizer, samples: Sequence[Sample], noise: str | None, talkers: str
) -> list[Answer]:
    """Transcribes each clip; those that say a phrase also with noise, at each level of SNRS.

    Every other clip gets babble of the speech in the folder `talkers`. The others get noise from
    the folder `noise`; None synthesises it. The phrases of the recogniser must have
    `min_confidence` 0.
    """
    rate = recognizer.specification.features.sample_rate
    answers = []
    for number, sample in enumerate(track(samples, "recognising", len(samples))):
        clean = np.pad(read_audio(sample.audio, rate), round(AROUND * rate))
        answers.append(_answer(sample, NO_NOISE, recognizer.transcribe(clean, rate)))
        if sample.kind == PHRASE:
            kind, speech = ("babble", talkers) if number % 2 else ("noise", None)
            noisy_versions = at_ratios(clean, rate, noise, sample.audio.name, SNRS, speech)
            for snr, noisy in zip(SNRS, noisy_versions, strict=True):
                result = recognizer.transcribe(noisy, rate)
                answers.append(_answer(sample, f"{snr:g} dB {kind}", result))
    return answers


def _answer(sample: Sample, noise: str, result: Result) -> Answer:
    same_text = result.text == sample.text
    right = result.meaning == sample.meaning if sample.meaning else same_text
    return Answer(
        kind=sample.kind,
        voice=sample.voice,
        noise=noise,
        duration=result.duration - 2 * AROUND,
        expected=sample.text,
        text=result.text,
        confidence=result.words[0].confidence if result.words else 0.0,
        right=sample.kind == PHRASE and right,
        expected_intent=sample.meaning.intent if sample.meaning else "",
        intent=result.meaning.intent if result.meaning else "",
    )
