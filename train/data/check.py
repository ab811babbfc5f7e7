"""Checks the clips of manifests: reads all audio and normalises all texts, in parallel."""

from __future__ import annotations

import enum
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
SILENCE = -60.0  # dBFS, of a whole clip: below it nobody spoke
MAX_DURATION_ERROR = 0.1  # seconds between the manifest and the file
# Letters per second that a model can put out: one in a step of 20 ms, at the fastest speed.
MAX_LETTER_RATE = 50 / 1.1
# A clip with the wrong text has an unusual number of letters per second: its logarithm is many
# standard deviations from the median. They are estimated by the scaled median absolute deviation,
# and are at least those of a single reader.
MAX_RATE_DEVIATIONS = 5.0
MIN_RATE_STD = 0.15
MIN_CLIPS_FOR_RATE = 20  # with fewer, a median means little


class Finding(enum.Enum):
    """What can be wrong with a clip, in the order of the report. The value is a message."""

    UNREADABLE = "cannot be read"
    NO_LETTERS = "no letter is left of the text"
    LEAKED = "the same audio in two splits"
    CUT_SHORT = "cut short"
    TOO_MANY_LETTERS = "more letters than fit into the audio (training skips the clip)"
    REPEATED = "the same audio twice in a split"
    WRONG_DURATION = "duration in the manifest differs from the file's"
    SILENT = f"silent (below {SILENCE:g} dBFS)"
    CLIPPED = f"clipped (more than {100 * MAX_CLIPPED_SHARE:g} % of samples at full scale)"
    CANCELLED = "channels cancel each other out (one has its polarity reversed)"
    UNUSUAL_RATE = "text too long or too short for the audio"
    SHARED_TEXT = "text of dev or test is also in train"

    @property
    def is_error(self) -> bool:
        """Whether training would skip the clip, or a score would be meaningless."""
        return self in _ERRORS


_ERRORS = frozenset(
    {
        Finding.UNREADABLE,
        Finding.NO_LETTERS,
        Finding.LEAKED,
        Finding.CUT_SHORT,
        Finding.TOO_MANY_LETTERS,
    }
)


@dataclass(frozen=True)
class ClipAudio:
    """The audio of one clip, without the samples."""

    seconds: float
    form: str  # sample rate and channels
    level: float  # dBFS, root mean square
    clipped: float  # share of samples at full scale
    digest: bytes  # of the samples
    truncation: str  # says that the file is cut short; "" if it is not
    cancelled: bool  # whether a plain mean of the channels would cancel the sound


@dataclass(frozen=True)
class ClipSummary:
    """What the check keeps of one clip. It is small, since it is held for every clip."""

    audio: ClipAudio | str  # or why it cannot be read
    text: bytes  # digest of the normalised text; empty if nothing is left of it
    letters: int
    dropped: tuple[tuple[str, int], ...]  # characters that the normaliser drops, with counts


def _by_split() -> dict[str, list[float]]:
    return defaultdict(list)


@dataclass
class Check:
    """Results for all clips together. Lists of numbers leave out the clips that cannot be read."""

    speakers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by split
    durations: dict[str, list[float]] = field(default_factory=_by_split)  # seconds
    letter_rates: dict[str, list[float]] = field(default_factory=_by_split)  # letters per second
    levels: dict[str, list[float]] = field(default_factory=_by_split)  # dBFS
    forms: Counter[str] = field(default_factory=Counter)  # clips by sample rate and channels
    dropped: Counter[str] = field(default_factory=Counter)  # characters
    examples: dict[str, str] = field(default_factory=dict)  # dropped character -> a text with it
    findings: dict[Finding, list[str]] = field(
        default_factory=lambda: {finding: [] for finding in Finding}
    )

    @property
    def errors(self) -> int:
        """Number of findings that make clips unfit for training or for a score."""
        return sum(len(clips) for finding, clips in self.findings.items() if finding.is_error)

    def add(self, finding: Finding, clip: str) -> None:
        """Adds a finding about a clip, which a line of text describes."""
        self.findings[finding].append(clip)


def check(manifests: Iterable[Path]) -> Check:
    """Reads every clip of the manifests. InputError if one of them is no manifest."""
    clips = [clip for manifest in manifests for clip in read_manifest(manifest)]
    # Processes are spawned: a fork could inherit locks of other threads.
    with ProcessPoolExecutor(
        mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent
    ) as pool:
        jobs = pool.map(summarise, clips, chunksize=CHUNK)
        summaries = list(track(jobs, f"checking {len(clips)} clips", len(clips)))
    result = Check()
    checked = list(zip(clips, summaries, strict=True))
    for clip, summary in checked:
        result.speakers[clip.split].add(clip.speaker)
        _check_text(result, clip, summary)
        if isinstance(summary.audio, str):
            result.add(Finding.UNREADABLE, summary.audio)
        else:
            _check_audio(result, clip, summary.audio)
            _check_letters(result, clip, summary.letters, summary.audio.seconds)
    _find_repeated_audio(result, checked)
    _find_shared_texts(result, checked)
    _find_unusual_rates(result, checked)
    return result


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def summarise(clip: Clip) -> ClipSummary:
    """Reads one clip, in a process of its own."""
    normalised = normalise(clip.text)
    audio: ClipAudio | str
    try:
        audio = _read(clip.audio)
    except InputError as error:
        audio = str(error)
    digest = _digest(normalised.text) if normalised.text else b""
    return ClipSummary(audio, digest, len(normalised.text), tuple(normalised.dropped.items()))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _read(path: Path) -> ClipAudio:
    audio = AudioFile(path)
    digest = hashlib.blake2b(digest_size=16)
    for block in audio.blocks(warn=False):
        digest.update(block.tobytes())
    channels = {1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
    return ClipAudio(
        seconds=audio.level.samples / audio.rate,
        form=f"{audio.rate} Hz {channels}",
        level=audio.level.mean,
        clipped=audio.level.clipped_share,
        digest=digest.digest(),
        truncation=f"{path}: {audio.warnings()[0]}" if audio.truncation else "",
        cancelled=audio.cancelled,
    )


def _check_text(result: Check, clip: Clip, summary: ClipSummary) -> None:
    if not summary.text:
        result.add(Finding.NO_LETTERS, f"{clip.audio}: {clip.text!r}")
    for character, count in summary.dropped:
        result.dropped[character] += count
        result.examples.setdefault(character, clip.text)


def _check_audio(result: Check, clip: Clip, audio: ClipAudio) -> None:
    result.durations[clip.split].append(audio.seconds)
    result.levels[clip.split].append(audio.level)
    result.forms[audio.form] += 1
    if audio.truncation:
        result.add(Finding.CUT_SHORT, audio.truncation)
    elif abs(audio.seconds - clip.duration) > MAX_DURATION_ERROR:
        durations = f"{clip.duration:g} s in the manifest, {audio.seconds:.2f} s in the file"
        result.add(Finding.WRONG_DURATION, f"{clip.audio}: {durations}")
    if audio.cancelled:
        result.add(Finding.CANCELLED, str(clip.audio))
    if audio.level < SILENCE:
        result.add(Finding.SILENT, f"{clip.audio}: {audio.level:.0f} dBFS")
    if audio.clipped > MAX_CLIPPED_SHARE:
        result.add(Finding.CLIPPED, f"{clip.audio}: {100 * audio.clipped:.2f} %")


def _check_letters(result: Check, clip: Clip, letters: int, seconds: float) -> None:
    result.letter_rates[clip.split].append(letters / seconds)
    if letters > MAX_LETTER_RATE * seconds:
        text = f"{clip.audio}: {letters} in {seconds:.2f} s: {clip.text[:60]!r}"
        result.add(Finding.TOO_MANY_LETTERS, text)


Checked = list[tuple[Clip, ClipSummary]]


def _find_repeated_audio(result: Check, checked: Checked) -> None:
    first_with: dict[bytes, Clip] = {}
    for clip, summary in checked:
        if isinstance(summary.audio, str):
            continue
        first = first_with.setdefault(summary.audio.digest, clip)
        if first is not clip:
            finding = Finding.REPEATED if first.split == clip.split else Finding.LEAKED
            places = f"{clip.audio} ({clip.split}): {first.audio} ({first.split})"
            result.add(finding, places)


def _find_shared_texts(result: Check, checked: Checked) -> None:
    trained = {summary.text for clip, summary in checked if clip.split == "train"} - {b""}
    for clip, summary in checked:
        if clip.split != "train" and summary.text in trained:
            result.add(Finding.SHARED_TEXT, f"{clip.audio} ({clip.split}): {clip.text!r}")


def _find_unusual_rates(result: Check, checked: Checked) -> None:
    rated = [
        (clip, summary.letters / summary.audio.seconds)
        for clip, summary in checked
        if summary.letters and isinstance(summary.audio, ClipAudio)
    ]
    if len(rated) < MIN_CLIPS_FOR_RATE:
        return
    logarithms = np.log([rate for _, rate in rated])
    median = np.median(logarithms)
    # 1.4826 times the median absolute deviation is the standard deviation of a normal distribution.
    std = max(1.4826 * float(np.median(np.abs(logarithms - median))), MIN_RATE_STD)
    for (clip, rate), logarithm in zip(rated, logarithms, strict=True):
        if abs(logarithm - median) > MAX_RATE_DEVIATIONS * std and rate <= MAX_LETTER_RATE:
            rates = f"{rate:.1f} letters/s, the median is {np.exp(median):.1f}"
            result.add(Finding.UNUSUAL_RATE, f"{clip.audio}: {rates}: {clip.text[:60]!r}")
