"""Manifests: one JSON object a line with audio, text, duration, split, speaker and, if it is not 1, weight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.train.files import write_whole

LONGEST = 1e9  # seconds of a clip: nobody has recorded for 30 years
MOST_WEIGHT = 1e9
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Clip:
    """One recording and what is said in it."""

    audio: Path
    text: str  # as the manifest has it, not yet normalised
    duration: float  # seconds
    split: str
    speaker: str = ""
    weight: float = 1.0  # how much it counts in training; 0: not at all


def read_manifest(path: str | os.PathLike[str], split: str | None = None) -> list[Clip]:
    """Clips of a manifest, or of one split of it; `audio` is relative to the manifest's folder.

    InputError, with file and line, for anything that is not such a manifest, and if there is no clip.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8").split(
            "\n"
        )  # splitlines would also cut at U+0085 within a text
    except OSError as error:
        raise InputError(f"{path}: cannot read the manifest ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    clips = [_clip(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    chosen = [clip for clip in clips if split in (None, clip.split)]
    if not chosen:
        found = ", ".join(sorted({clip.split for clip in clips})) or "nothing"
        raise InputError(
            f"{path}: no clip{f' of split {split}' if split else ''} in it (it holds {found})"
        )
    return chosen


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Writes clips, their audio relative to the manifest's folder; the file appears whole or not at all.

    InputError if it cannot be written.
    """
    rows = [
        {
            "audio": os.path.relpath(clip.audio, path.parent),
            "text": clip.text,
            "duration": max(round(clip.duration, 3), 0.001),
            "split": clip.split,
            "speaker": clip.speaker,
            **({"weight": clip.weight} if clip.weight != 1 else {}),
        }
        for clip in clips
    ]
    write_whole(path, "".join(_line(row) + "\n" for row in rows))


def _line(row: dict[str, Any]) -> str:
    line = json.dumps(row, ensure_ascii=False)
    # A file's name may be no text at all.
    return (
        line
        if line.isascii() or line.encode("utf-8", "ignore").decode() == line
        else json.dumps(row)
    )


def _clip(line: str, path: Path, number: int) -> Clip:
    where = f"{path}:{number}"
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON object on one line ({error})") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object but {line[:40]!r}")
    for key, kind in {"audio": str, "text": str, "duration": (int, float), "split": str}.items():
        if key not in row:
            raise InputError(f"{where}: '{key}' is missing")
        if not isinstance(row[key], kind) or isinstance(row[key], bool):
            raise InputError(
                f"{where}: '{key}' is {row[key]!r}, which is not {'text' if kind is str else 'a number'}"
            )
    if row["split"] not in SPLITS:
        raise InputError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
    if not 0 < row["duration"] < LONGEST:
        raise InputError(
            f"{where}: duration {str(row['duration'])[:40]} is not a number of seconds above 0"
        )
    weight = row.get("weight", 1.0)
    if (
        isinstance(weight, bool)
        or not isinstance(weight, (int, float))
        or not 0 <= weight < MOST_WEIGHT
    ):
        raise InputError(f"{where}: weight {repr(weight)[:40]} is not a number from 0")
    audio, speaker = path.parent / row["audio"], str(row.get("speaker") or "")
    return Clip(audio, row["text"], float(row["duration"]), row["split"], speaker, float(weight))
