"""What all importers share: they read listings, measure every clip and write a manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ds2edge.runtime.audio.reader import scan_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.train.data.manifest import SPLITS, Clip, write_manifest
from ds2edge.train.data.skipped import name_some, refuse_many
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.files import require_place_for
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")

MIN_SECONDS = 0.02  # of a clip: less than a letter

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class ListedClip:
    """A clip as a corpus lists it."""

    audio: Path
    text: str
    split: str
    speaker: str = ""
    where: str = ""  # file and line that list it
    problem: str = ""  # why it cannot be used


def write_corpus(listed: Iterable[ListedClip], folder: Path, skip_bad: bool = False) -> Path:
    """Reads every clip to its end, writes `folder`/manifest.jsonl and returns its path.

    Clips without audio or without a letter are skipped and named. InputError if no clip is left,
    or if the folder cannot be written.
    InputError if more than 1 % of a large corpus are skipped, unless `skip_bad` is set.
    """
    require_place_for(folder)
    to_measure = list(listed)
    total = len(to_measure)
    if not total:
        raise InputError(f"{folder}: no clip was found to write into its manifest")
    with ThreadPoolExecutor() as pool:
        measured = list(track(pool.map(_measure, to_measure), f"measuring {total} clips", total))
    clips = [clip for clip in measured if isinstance(clip, Clip)]
    problems = [problem for problem in measured if isinstance(problem, str)]
    name_some(problems, total)
    if not clips:
        raise InputError(f"{folder}: none of {total} clips can be used; the first: {problems[0]}")
    if not skip_bad:
        refuse_many(problems, total)
    if problems:
        log.warning("skipped %d of %d clips", len(problems), total)
    manifest = folder / "manifest.jsonl"
    write_manifest(manifest, clips)
    log.info("%s: %s", manifest, "; ".join(_amounts(clips)))
    return manifest


def _measure(listed: ListedClip) -> Clip | str:
    """The clip with its duration, or why it cannot be used."""
    where = f"{listed.where}: " if listed.where else ""
    if listed.problem:
        return where + listed.problem
    try:
        normalise_clip(listed.audio, listed.text)
        audio = scan_audio(listed.audio)
    except InputError as error:
        return f"{where}{error}"
    seconds = audio.level.samples / audio.rate
    if seconds < MIN_SECONDS:
        return f"{where}{listed.audio}: {audio.level.samples} samples are too short to say anything"
    return Clip(listed.audio, listed.text, seconds, listed.split, listed.speaker)


def _amounts(clips: list[Clip]) -> list[str]:
    """Clips and hours of each split."""
    amounts = []
    for split in SPLITS:
        seconds = [clip.duration for clip in clips if clip.split == split]
        if seconds:
            amounts.append(f"{split} {len(seconds)} clips, {sum(seconds) / 3600:.2f} h")
    return amounts


def read_lines(path: Path, parse: Callable[[str], Parsed]) -> list[Parsed]:
    """Parses each line that is not empty.

    InputError, with file and line, where `parse` raises ValueError; InputError if the file cannot
    be read.
    """
    text = read_text(path)
    parsed = []
    # str.splitlines would also split at U+0085, inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip():
                parsed.append(parse(line))
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return parsed


def find_folder(start: Path, inside: str, name: str) -> Path:
    """`start` or the folder `inside` it, whichever holds `name`. InputError if neither does."""
    for folder in (start, start / inside):
        if (folder / name).exists():
            return folder
    raise InputError(
        f"{start}: holds no {name}, nor does {start / inside}: give the unpacked archive"
    )
