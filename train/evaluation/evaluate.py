"""Measures the error rates of a model by speaker, length and noise, and counts its mistakes."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.augmentation.sound_files import sound_files
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.evaluation.results import Confusion, Evaluation, Figures, Transcript
from ds2edge.train.evaluation.scoring import Score, align, score
from ds2edge.train.evaluation.transcriber import Sound, Transcriber, open_transcriber
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")

Seconds = npt.NDArray[np.float64]  # of each clip
# Groups by length, with the seconds that a clip must be below.
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
NAMED = 5  # clips left out that the log names; the reports name all


@dataclass
class _TranscribedClip:
    """A clip that can be scored, with a transcript for each noise level (None: no noise)."""

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
    """Transcribes a split with `model`, without noise and at each of `snrs` in dB, and scores it.

    `model` and `threads` are as for `open_transcriber`. `noise` is a folder of sounds; without it,
    coloured noise is synthesised. The noise of a clip depends on its file name alone, so it is the
    same at all levels, for all models and in every evaluation.

    Clips that cannot be read or have no letter in their text are named and left out. InputError if
    none is left, if the model, a manifest or the noise folder cannot be read.
    """
    clips = [clip for path in manifests for clip in read_manifest(path, split)]
    if noise:
        sound_files(noise)  # InputError before a model is loaded
    transcriber = open_transcriber(model, threads, decoder)
    levels: list[float | None] = [None, *sorted(set(snrs), reverse=True)]
    transcribed, left_out = _transcribe(transcriber, clips, levels, noise)
    _report_left_out(left_out, len(clips), split)

    references = [clip.reference for clip in transcribed]
    seconds = np.array([clip.seconds for clip in transcribed])
    scores = {
        level: score(references, [clip.texts[level] for clip in transcribed]) for level in levels
    }
    clean = scores[None]
    mistakes = _confusions((clip.reference, clip.texts[None]) for clip in transcribed)
    return Evaluation(
        model=str(model),
        name=transcriber.name,
        mode=transcriber.mode,
        engine=transcriber.engine,
        manifests=[str(path) for path in manifests],
        split=split,
        overall=_figures("all", clean, seconds),
        real_time_factor=_real_time_factor(transcriber, float(seconds.sum()) * len(levels)),
        by_speaker=_by_speaker(transcribed, clean, seconds),
        by_length=_by_length(clean, seconds),
        by_noise=_by_noise(scores, seconds),
        noise=noise or "synthesised, coloured",
        substitutions=[pair for pair in mistakes if pair.reference and pair.hypothesis][
            :MOST_CONFUSIONS
        ],
        insertions=[pair for pair in mistakes if not pair.reference][:MOST_CONFUSIONS],
        deletions=[pair for pair in mistakes if not pair.hypothesis][:MOST_CONFUSIONS],
        left_out=left_out,
        clips=_worst_first(transcribed, clean),
    )


def _transcribe(
    transcriber: Transcriber,
    clips: list[Clip],
    levels: list[float | None],
    noise: str | None,
) -> tuple[list[_TranscribedClip], list[str]]:
    """Every clip at every level, in the order of the manifests, and the clips left out."""
    transcribed: list[_TranscribedClip] = []
    left_out: list[str] = []
    # Clips of equal length need little padding in a batch. The longest come first: if memory is
    # too small, that shows at once.
    ordered = sorted(enumerate(clips), key=lambda item: -item[1].duration)
    sounds = _sounds(ordered, transcriber.rate, levels, noise, left_out)
    total = len(clips) * len(levels)
    for sound, text in track(
        transcriber.transcribe(sounds), f"transcribing {len(clips)} clips", total
    ):
        if sound.snr_db is None:
            seconds = len(sound.samples) / transcriber.rate
            transcribed.append(_TranscribedClip(sound.number, sound.clip, sound.reference, seconds))
        transcribed[-1].texts[sound.snr_db] = text
    # Bootstrap intervals depend on the order of the clips, and `ds2edge parity` uses this one too.
    return sorted(transcribed, key=lambda clip: clip.number), left_out


def _sounds(
    clips: Iterable[tuple[int, Clip]],
    rate: int,
    levels: list[float | None],
    noise: str | None,
    left_out: list[str],
) -> Iterator[Sound]:
    """Each clip at all levels (None first). Clips that cannot be scored go to `left_out`."""
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
        noisy_levels = [level for level in levels if level is not None]
        noisy = at_ratios(samples, rate, noise, clip.audio.name, noisy_levels)
        for level, sound in zip(noisy_levels, noisy, strict=True):
            yield Sound(number, clip, reference, level, sound)


def _report_left_out(left_out: list[str], clips: int, split: str) -> None:
    """Names some of the clips left out. InputError if none of `clips` remains."""
    if len(left_out) == clips:
        raise InputError(
            f"none of the {clips} clips of split {split} can be scored; the first: {left_out[0]}"
        )
    for problem in left_out[:NAMED]:
        log.warning("left out: %s", problem)
    if left_out:
        log.warning("left out %d of %d clips", len(left_out), clips)


def _real_time_factor(transcriber: Transcriber, seconds: float) -> float | None:
    """Seconds of computing per second of audio."""
    if transcriber.compute_seconds is None:
        return None
    return transcriber.compute_seconds / seconds


def _by_speaker(clips: list[_TranscribedClip], clean: Score, seconds: Seconds) -> list[Figures]:
    speakers = [clip.clip.speaker for clip in clips]
    if not any(speakers):
        return []
    groups = _groups([speaker or "not named" for speaker in speakers], clean, seconds)
    return sorted(groups.values(), key=lambda figures: -figures.wer)


def _by_length(clean: Score, seconds: Seconds) -> list[Figures]:
    groups = _groups([_length(length) for length in seconds], clean, seconds)
    return [groups[name] for name in LENGTHS if name in groups]


def _by_noise(scores: dict[float | None, Score], seconds: Seconds) -> list[Figures]:
    if len(scores) == 1:  # no noise was asked for
        return []
    return [_figures(_level(level), scored, seconds) for level, scored in scores.items()]


def _groups(labels: list[str], whole: Score, seconds: Seconds) -> dict[str, Figures]:
    """Figures of the clips that share a label."""
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
    """Mistakes in pairs of reference and hypothesis, the most frequent first."""
    counts = Counter(pair for texts in pairs for pair in align(*texts) if pair[0] != pair[1])
    return [
        Confusion(*pair, times)
        for pair, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _worst_first(clips: list[_TranscribedClip], clean: Score) -> list[Transcript]:
    """By the number of word errors, which the WER counts, then by that of character errors."""
    order = np.lexsort((-clean.character_errors, -clean.word_errors))
    return [
        Transcript(
            audio=str(clips[i].clip.audio),
            speaker=clips[i].clip.speaker,
            seconds=round(clips[i].seconds, 3),
            reference=clips[i].reference,
            hypothesis=clips[i].texts[None],
            word_errors=int(clean.word_errors[i]),
        )
        for i in order
    ]
