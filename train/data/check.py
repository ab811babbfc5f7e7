"""What is in manifests and what is wrong with it: every clip heard and every text normalised once, in all processes."""

from __future__ import annotations

import hashlib
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ds2edge.runtime.audio.level import MAX_CLIPPED_SHARE
from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.text import normalise
from ds2edge.train.progress import track

CHUNK = 16  # clips that a process takes at a time
SILENCE = -60.0  # dBFS of a whole clip: below, nobody spoke
LENGTH_ERROR = 0.1  # seconds between the manifest and the file
# A text that is not of its clip is read too fast or too slow: further from the median of the logarithm than so many
# standard deviations, which are the scaled median deviation, and at least as large as in one reader's speech.
RATE_DEVIATIONS = 5.0
LEAST_RATE_DEVIATION = 0.15
LETTERS_A_SECOND = (
    50 / 1.1
)  # that a model of the kit's can say: one a step of 20 ms, at the fastest speed
FEWEST_FOR_RATE = 20  # clips, for a median to mean something

# What is found, in the order of the report. Of the first five, training would stop or the score be no score.
UNREADABLE = "cannot be read"
WORDLESS = "no letter is left of the text"
LEAKED = "the same audio in two splits"
CUT_SHORT = "cut short"
TOO_LONG = "more letters than fit into the audio (training leaves it out)"
ERRORS = (UNREADABLE, WORDLESS, LEAKED, CUT_SHORT, TOO_LONG)
REPEATED = "the same audio twice in a split"
WRONG_DURATION = "duration in the manifest is not the file's"
SILENT = f"silent (below {SILENCE:g} dBFS)"
CLIPPED = f"clipped (more than {100 * MAX_CLIPPED_SHARE:g} % of samples at full scale)"
CANCELLED = "channels that cancel each other out (one is turned over)"
MISMATCHED = "text too long or too short for the audio"
SHARED_TEXT = "text of dev or test that training has too"
REMARKS = (REPEATED, WRONG_DURATION, SILENT, CLIPPED, CANCELLED, MISMATCHED, SHARED_TEXT)


@dataclass(frozen=True)
class Heard:
    """What one clip turned out to be."""

    seconds: float
    form: str  # rate and channels
    level: float  # dBFS, root mean square
    clipped: float  # share of samples at full scale
    digest: bytes  # of the samples
    problem: str  # that the file is cut short
    cancelled: bool = False  # whether the plain mean of its channels would have lost the sound


@dataclass(frozen=True)
class Examined:
    """A clip's audio and text, without either: 100,000 of them are held at once."""

    heard: Heard | str  # or why it cannot be read
    text: bytes  # digest of the normalised text, empty where nothing is left
    letters: int
    dropped: tuple[tuple[str, int], ...]


@dataclass
class Check:
    """What was found in all clips together; the lists go clip by clip, without those that cannot be read."""

    speakers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by split
    durations: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # seconds, by split
    rates: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # letters per second, by split
    levels: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # dBFS, by split
    forms: Counter[str] = field(default_factory=Counter)  # clips by rate and channels
    dropped: Counter[str] = field(default_factory=Counter)  # characters
    examples: dict[str, str] = field(default_factory=dict)  # character: a text it was dropped from
    found: dict[str, list[str]] = field(
        default_factory=lambda: {kind: [] for kind in ERRORS + REMARKS}
    )

    @property
    def errors(self) -> int:
        """Number of findings that make clips unfit to train on or to score by."""
        return sum(len(self.found[kind]) for kind in ERRORS)


def check(manifests: Iterable[Path]) -> Check:
    """Hears every clip. InputError for a manifest that is none."""
    clips = [clip for manifest in manifests for clip in read_manifest(manifest)]
    with ProcessPoolExecutor(
        mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent
    ) as pool:
        jobs = pool.map(examine, clips, chunksize=CHUNK)
        examined = list(track(jobs, f"checking {len(clips)} clips", len(clips)))
    result = Check()
    audio: dict[bytes, Clip] = {}  # the first clip that sounds so
    texts: dict[bytes, set[str]] = defaultdict(set)  # splits
    for clip, seen in zip(clips, examined, strict=True):
        result.speakers[clip.split].add(clip.speaker)
        _add_text(result, clip, seen)
        texts[seen.text].add(clip.split)
        if isinstance(seen.heard, str):
            result.found[UNREADABLE].append(seen.heard)
            continue
        _add_audio(result, clip, seen.heard)
        first = audio.setdefault(seen.heard.digest, clip)
        if first is not clip:
            kind = REPEATED if first.split == clip.split else LEAKED
            result.found[kind].append(f"{clip.audio} ({clip.split}): {first.audio} ({first.split})")
        result.rates[clip.split].append(seen.letters / seen.heard.seconds)
        if seen.letters > LETTERS_A_SECOND * seen.heard.seconds:
            result.found[TOO_LONG].append(
                f"{clip.audio}: {seen.letters} in {seen.heard.seconds:.2f} s: {clip.text[:60]!r}"
            )
    for clip, seen in zip(clips, examined, strict=True):
        if seen.text and clip.split != "train" and "train" in texts[seen.text]:
            result.found[SHARED_TEXT].append(f"{clip.audio} ({clip.split}): {clip.text!r}")
    _find_mismatched(result, clips, examined)
    return result


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def examine(clip: Clip) -> Examined:
    """One clip, in a process of its own."""
    normalised = normalise(clip.text)
    digest = (
        hashlib.blake2b(normalised.text.encode(), digest_size=16).digest()
        if normalised.text
        else b""
    )
    heard: Heard | str
    try:
        heard = hear(clip.audio)
    except InputError as error:
        heard = str(error)
    return Examined(heard, digest, len(normalised.text), tuple(normalised.dropped.items()))


def hear(path: Path) -> Heard:
    """Level, length and form of a sound file. InputError if it cannot be read."""
    audio, digest = AudioFile(path), hashlib.blake2b(digest_size=16)
    for block in audio.blocks(warn=False):
        digest.update(block.tobytes())
    level = audio.level
    form = f"{audio.rate} Hz {({1: 'mono', 2: 'stereo'}).get(audio.channels, f'{audio.channels} channels')}"
    seconds = level.samples / audio.rate
    problem = f"{path}: {audio.warnings()[0]}" if audio.truncation else ""
    return Heard(
        seconds, form, level.mean, level.clipped_share, digest.digest(), problem, audio.cancelled
    )


def _add_text(result: Check, clip: Clip, seen: Examined) -> None:
    if not seen.text:
        result.found[WORDLESS].append(f"{clip.audio}: {clip.text!r}")
    for character, count in seen.dropped:
        result.dropped[character] += count
        result.examples.setdefault(character, clip.text)


def _add_audio(result: Check, clip: Clip, heard: Heard) -> None:
    result.durations[clip.split].append(heard.seconds)
    result.levels[clip.split].append(heard.level)
    result.forms[heard.form] += 1
    if heard.problem:
        result.found[CUT_SHORT].append(heard.problem)
    elif abs(heard.seconds - clip.duration) > LENGTH_ERROR:
        result.found[WRONG_DURATION].append(
            f"{clip.audio}: {clip.duration:g} s, in truth {heard.seconds:.2f} s"
        )
    if heard.cancelled:
        result.found[CANCELLED].append(str(clip.audio))
    if heard.level < SILENCE:
        result.found[SILENT].append(f"{clip.audio}: {heard.level:.0f} dBFS")
    if heard.clipped > MAX_CLIPPED_SHARE:
        result.found[CLIPPED].append(f"{clip.audio}: {100 * heard.clipped:.2f} %")


def _find_mismatched(result: Check, clips: list[Clip], examined: list[Examined]) -> None:
    pairs = [
        (clip, seen.letters / seen.heard.seconds)
        for clip, seen in zip(clips, examined, strict=True)
        if seen.letters and isinstance(seen.heard, Heard)
    ]
    if len(pairs) < FEWEST_FOR_RATE:
        return
    logarithms = np.log([rate for _, rate in pairs])
    median = np.median(logarithms)
    deviation = max(1.4826 * float(np.median(np.abs(logarithms - median))), LEAST_RATE_DEVIATION)
    for (clip, rate), logarithm in zip(pairs, logarithms, strict=True):
        if abs(logarithm - median) > RATE_DEVIATIONS * deviation and rate <= LETTERS_A_SECOND:
            usual = f"usual are {np.exp(median):.1f}"
            result.found[MISMATCHED].append(
                f"{clip.audio}: {rate:.1f} letters/s, {usual}: {clip.text[:60]!r}"
            )
