"""What every importer ends with: clips measured, those that are of no use named, a manifest written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ds2edge.runtime.audio.reader import scan_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import SPLITS, Clip, write_manifest
from ds2edge.train.data.text import normalise
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")

MOST_SKIPPED = 0.01  # of all clips; past that something is wrong with the corpus, or with what was taken for one
SMALL = 200  # clips: of fewer, each that is skipped is named, and none is too many
LEAST_SECONDS = 0.02  # of a clip: less than a letter
NAMED = 5  # skipped clips of a large corpus that are named one by one

Found = TypeVar("Found")


@dataclass(frozen=True)
class Utterance:
    """A clip as a corpus lists it."""

    audio: Path
    text: str
    split: str
    speaker: str = ""
    where: str = ""  # the file that lists it, and the line


def write_corpus(utterances: Iterable[Utterance], folder: Path, skip_bad: bool = False) -> Path:
    """Hears every clip to its end and writes `folder`/manifest.jsonl, whose path it returns.

    A clip without audio or without a letter is skipped and named. InputError if nothing is left, or if a large corpus
    has more of them than happen by chance: then `skip_bad` does without them all the same.
    """
    listed = list(utterances)
    if not listed:
        raise InputError(f"{folder}: no clip was found to write into its manifest")
    with ThreadPoolExecutor() as pool:
        measured = list(
            track(pool.map(_measure, listed), f"measuring {len(listed)} clips", len(listed))
        )
    clips = [clip for clip in measured if isinstance(clip, Clip)]
    skipped = [problem for problem in measured if isinstance(problem, str)]
    small = len(listed) < SMALL
    for problem in skipped if small else skipped[:NAMED]:
        log.warning("skipped: %s", problem)
    if not clips:
        raise InputError(
            f"{folder}: none of {len(listed)} clips is of use; the first: {skipped[0]}"
        )
    if len(skipped) > MOST_SKIPPED * len(listed) and not small and not skip_bad:
        raise InputError(
            f"{len(skipped)} of {len(listed)} clips are of no use, more than 1 %; the first: {skipped[0]}: "
            "mend them, or --skip-bad goes on without them"
        )
    if skipped:
        log.warning("skipped %d of %d clips", len(skipped), len(listed))
    manifest = folder / "manifest.jsonl"
    write_manifest(manifest, clips)
    parts = [(split, [clip for clip in clips if clip.split == split]) for split in SPLITS]
    amounts = [
        f"{split} {len(p)} clips, {sum(c.duration for c in p) / 3600:.2f} h"
        for split, p in parts
        if p
    ]
    log.info("%s: %s", manifest, "; ".join(amounts))
    return manifest


def read_lines(path: Path, parse: Callable[[str], Found]) -> list[Found]:
    """What `parse` makes of each line that is not empty; its ValueError becomes InputError with file and line."""
    try:
        lines = path.read_text("utf-8-sig").split(
            "\n"
        )  # splitlines would also cut at U+0085 within a text
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                found.append(parse(line))
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return found


def find_folder(start: Path, inside: str, name: str) -> Path:
    """`start` or the folder `inside` it, whichever holds `name`. InputError if neither does."""
    for folder in (start, start / inside):
        if (folder / name).exists():
            return folder
    raise InputError(
        f"{start}: holds no {name}, nor does {start / inside}: give the unpacked archive"
    )


def _measure(utterance: Utterance) -> Clip | str:
    where = f"{utterance.where}: " if utterance.where else ""
    if not normalise(utterance.text).text:
        return f"{where}{utterance.audio}: no letter is left of its text {utterance.text!r}"
    try:
        audio = scan_audio(utterance.audio)
    except InputError as error:
        return f"{where}{error}"
    seconds = audio.level.samples / audio.rate
    if seconds < LEAST_SECONDS:
        return (
            f"{where}{utterance.audio}: {audio.level.samples} samples are too short to say anything"
        )
    return Clip(utterance.audio, utterance.text, seconds, utterance.split, utterance.speaker)
