"""Manifests: JSON Lines with audio, text, duration, split, speaker and weight of each clip."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text, write_whole

MAX_DURATION = 1e9  # seconds, some 30 years
MAX_WEIGHT = 1e9
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Clip:
    """A recording and its text."""

    audio: Path
    text: str  # as the manifest has it, not normalised
    duration: float  # seconds
    split: str
    speaker: str = ""
    weight: float = 1.0  # factor of the loss in training; clips of weight 0 are left out
    uses: float = 1.0  # how often an epoch uses the clip; from the recipe, not from the manifest


def read_manifest(path: str | os.PathLike[str], split: str | None = None) -> list[Clip]:
    """The clips of a manifest, or of one split. Audio paths are relative to the manifest's folder.

    InputError, with file and line, if the file is no manifest; InputError if it has no such clip.
    """
    path = Path(path)
    lines = read_text(path).split("\n")  # str.splitlines would also split at U+0085, inside a text
    clips = [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    selected = [clip for clip in clips if split in (None, clip.split)]
    if not selected:
        splits = ", ".join(sorted({clip.split for clip in clips})) or "nothing"
        of_split = f" of split {split}" if split else ""
        raise InputError(f"{path}: no clip{of_split} in it (it holds {splits})")
    return selected


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Writes a manifest, with audio paths relative to its folder. It appears whole or not at all.

    InputError if it cannot be written.
    """
    write_whole(path, "".join(_format(clip, path.parent) for clip in clips))


def _format(clip: Clip, folder: Path) -> str:
    row = {
        "audio": os.path.relpath(clip.audio, folder),
        "text": clip.text,
        "duration": max(round(clip.duration, 3), 0.001),
        "split": clip.split,
        "speaker": clip.speaker,
    }
    if clip.weight != 1:
        row["weight"] = clip.weight
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8 has lone surrogates
        line = json.dumps(row)
    return line + "\n"


def _parse(line: str, path: Path, number: int) -> Clip:
    where = f"{path}:{number}"
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON object on one line ({error})") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object but {line[:40]!r}")
    for key in ("audio", "text", "duration", "split"):
        if key not in row:
            raise InputError(f"{where}: '{key}' is missing")
    for key in ("audio", "text", "split"):
        if not isinstance(row[key], str):
            raise InputError(f"{where}: '{key}' is {row[key]!r}, which is not text")
    duration = row["duration"]
    if not _is_number(duration):
        raise InputError(f"{where}: 'duration' is {duration!r}, which is not a number")
    if not 0 < duration < MAX_DURATION:
        shown = str(duration)[:40]
        raise InputError(f"{where}: duration {shown} is not a number of seconds above 0")
    if row["split"] not in SPLITS:
        raise InputError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
    weight = row.get("weight", 1.0)
    if not _is_number(weight) or not 0 <= weight < MAX_WEIGHT:
        raise InputError(f"{where}: weight {repr(weight)[:40]} is not a number of at least 0")
    return Clip(
        audio=path.parent / row["audio"],
        text=row["text"],
        duration=float(duration),
        split=row["split"],
        speaker=str(row.get("speaker") or ""),
        weight=float(weight),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
