"""How well a model hears: error rates of all clips, by speaker, by length and by noise; what it takes for what."""

from __future__ import annotations

import logging
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.decoding.ctc import DecoderFactory, GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.train.augmentation.noise import add_noise, draw_noise
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.evaluation.scoring import Score, align, score
from ds2edge.train.evaluation.transcriber import Sound, Transcriber, open_transcriber
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")

Seconds = npt.NDArray[np.float64]  # of each clip
# Groups by length, and the seconds that a clip must be below.
LENGTHS = {
    "under 1 s": 1.0,
    "1 to 2 s": 2.0,
    "2 to 4 s": 4.0,
    "4 to 8 s": 8.0,
    "8 to 16 s": 16.0,
    "16 to 32 s": 32.0,
    "32 s and more": float("inf"),
}
MOST_CONFUSIONS = 20  # of each kind
NAMED = 5  # clips left out that are named one by one; the reports name them all


@dataclass(frozen=True)
class Figures:
    """A model on a group of clips."""

    group: str
    clips: int
    words: int
    hours: float
    wer: float  # percent
    wer_interval: tuple[float, float]  # 95 %, bootstrap over clips
    cer: float
    cer_interval: tuple[float, float]


@dataclass(frozen=True)
class Transcript:
    """A clip, what was said in it and what the model heard, both normalised."""

    audio: str
    speaker: str
    seconds: float
    reference: str
    hypothesis: str
    word_errors: int


@dataclass(frozen=True)
class Confusion:
    """A word and what was heard in its place; "" where nothing was said, or nothing heard."""

    said: str
    heard: str
    times: int


@dataclass(frozen=True)
class Evaluation:
    """A model on the clips of a split, without noise unless it says so."""

    model: str  # path
    name: str  # of its recipe
    mode: str  # int8, float32 ... or keras
    engine: str  # and how it decodes
    manifests: list[str]
    split: str
    overall: Figures
    real_time_factor: (
        float | None
    )  # front end, network and decoder; None in Keras, which takes clips by the batch
    by_speaker: list[Figures]  # worst first; empty where the manifests name none
    by_length: list[Figures]
    by_noise: list[Figures]  # from none to the loudest; empty where no noise was asked for
    noise: str  # what was mixed in
    substitutions: list[Confusion]  # most frequent first, as the following
    insertions: list[Confusion]
    deletions: list[Confusion]
    left_out: list[str]  # clips and why
    clips: list[Transcript]  # worst first


@dataclass
class _Heard:
    """A clip that can be scored; texts by level of noise, None where there is none."""

    number: int  # in the order of the manifests
    clip: Clip
    reference: str
    seconds: float
    texts: dict[float | None, str] = field(default_factory=dict)


def evaluate(
    model: Path,
    manifests: Sequence[Path],
    split: str,
    snrs: Sequence[float] = (),
    noise: str | None = None,
    threads: int | None = None,
    decoder: DecoderFactory = GreedyDecoder,
) -> Evaluation:
    """Has `model` (as `open_transcriber` takes it) write down a split, and once more at each of `snrs` in dB.

    `noise`: a folder of sounds; without it, coloured noise is synthesised. What a clip gets of either depends on its
    file name alone: it is the same at all levels, for all models and in every evaluation.

    Clips that cannot be read or have no letter in their text are named and left out. InputError if none is left, if
    there is no such model, manifest or folder of noise, or if one of them cannot be read.
    """
    transcriber = open_transcriber(model, threads, decoder)
    clips = [clip for path in manifests for clip in read_manifest(path, split)]
    levels = sorted(set(snrs), reverse=True)
    found, left_out = _hear(transcriber, clips, levels, noise)
    if not found:
        raise InputError(
            f"none of the {len(clips)} clips of split {split} can be scored; the first: {left_out[0]}"
        )
    for problem in left_out[:NAMED]:
        log.warning("left out: %s", problem)
    if left_out:
        log.warning("left out %d of %d clips", len(left_out), len(clips))

    references, seconds = (
        [heard.reference for heard in found],
        np.array([heard.seconds for heard in found]),
    )
    by_level = {
        level: score(references, [heard.texts[level] for heard in found])
        for level in (None, *levels)
    }
    clean = by_level[None]
    speakers = [heard.clip.speaker for heard in found]
    by_speaker = (
        _groups([speaker or "not named" for speaker in speakers], clean, seconds)
        if any(speakers)
        else {}
    )
    by_length = _groups([_length(length) for length in seconds], clean, seconds)
    confusions = _confusions((heard.reference, heard.texts[None]) for heard in found)
    spent = transcriber.spent
    return Evaluation(
        model=str(model),
        name=transcriber.name,
        mode=transcriber.mode,
        engine=transcriber.engine,
        manifests=[str(path) for path in manifests],
        split=split,
        overall=_figures("all", clean, seconds),
        real_time_factor=None if spent is None else spent / float(seconds.sum()) / len(by_level),
        by_speaker=sorted(by_speaker.values(), key=lambda figures: -figures.wer),
        by_length=[by_length[group] for group in LENGTHS if group in by_length],
        by_noise=[_figures(_level(level), by_level[level], seconds) for level in by_level]
        if levels
        else [],
        noise=noise or "synthesised, coloured",
        substitutions=[c for c in confusions if c.said and c.heard][:MOST_CONFUSIONS],
        insertions=[c for c in confusions if not c.said][:MOST_CONFUSIONS],
        deletions=[c for c in confusions if not c.heard][:MOST_CONFUSIONS],
        left_out=left_out,
        clips=_worst_first(found, clean),
    )


def _hear(
    transcriber: Transcriber, clips: list[Clip], levels: list[float], noise: str | None
) -> tuple[list[_Heard], list[str]]:
    """Every clip at every level, in the order of the manifests, and what is left out."""
    found: list[_Heard] = []
    left_out: list[str] = []
    # By length, for batches that need little padding. Longest first: if memory does not suffice, that shows at once.
    ordered = sorted(enumerate(clips), key=lambda item: -item[1].duration)
    sounds = _sounds(ordered, transcriber.rate, levels, noise, left_out)
    total = len(clips) * (1 + len(levels))
    for sound, text in track(
        transcriber.transcribe(sounds), f"transcribing {len(clips)} clips", total
    ):
        if sound.snr_db is None:
            found.append(
                _Heard(
                    sound.number, sound.clip, sound.reference, len(sound.samples) / transcriber.rate
                )
            )
        found[-1].texts[sound.snr_db] = text
    # Back again: which clips a bootstrap draws depends on their order, and `ds2edge parity` keeps that of the manifest.
    return sorted(found, key=lambda heard: heard.number), left_out


def _sounds(
    clips: Iterable[tuple[int, Clip]],
    rate: int,
    levels: list[float],
    noise: str | None,
    left_out: list[str],
) -> Iterator[Sound]:
    """Each clip as it is, then at all levels; those that cannot be scored go to `left_out`."""
    for number, clip in clips:
        try:
            reference = normalise_clip(clip.audio, clip.text)
            samples = read_audio(clip.audio, rate)
        except InputError as error:
            left_out.append(str(error))
            continue
        if not len(samples):
            left_out.append(f"{clip.audio}: holds no audio (less than a sample at {rate} Hz)")
            continue
        yield Sound(number, clip, reference, None, samples)
        if levels:
            rng = np.random.default_rng(zlib.crc32(clip.audio.name.encode()))
            background = draw_noise(len(samples), rate, noise, rng)
            for level in levels:
                # Clipped, as by a converter.
                yield Sound(
                    number,
                    clip,
                    reference,
                    level,
                    np.clip(add_noise(samples, background, level), -1, 1),
                )


def _groups(labels: list[str], whole: Score, seconds: Seconds) -> dict[str, Figures]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    return {
        label: _figures(label, whole.of(chosen), seconds[chosen])
        for label, chosen in members.items()
    }


def _figures(group: str, result: Score, seconds: Seconds) -> Figures:
    return Figures(
        group=group,
        clips=len(seconds),
        words=int(result.words.sum()),
        hours=round(float(seconds.sum()) / 3600, 4),
        wer=result.wer,
        wer_interval=result.wer_interval(),
        cer=result.cer,
        cer_interval=result.cer_interval(),
    )


def _length(seconds: float) -> str:
    return next(group for group, end in LENGTHS.items() if seconds < end)


def _level(snr_db: float | None) -> str:
    return "no noise" if snr_db is None else f"{snr_db:g} dB"


def _confusions(pairs: Iterable[tuple[str, str]]) -> list[Confusion]:
    """Of all clips together, the most frequent first."""
    counts = Counter(pair for texts in pairs for pair in align(*texts) if pair[0] != pair[1])
    return [
        Confusion(*pair, times)
        for pair, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _worst_first(found: list[_Heard], clean: Score) -> list[Transcript]:
    """By the number of word errors, since that is what the WER counts; then by those of characters."""
    order = np.lexsort((-clean.character_errors, -clean.word_errors))
    ranked = [(found[i], int(clean.word_errors[i])) for i in order]
    return [
        Transcript(
            str(heard.clip.audio),
            heard.clip.speaker,
            round(heard.seconds, 3),
            heard.reference,
            heard.texts[None],
            errors,
        )
        for heard, errors in ranked
    ]
