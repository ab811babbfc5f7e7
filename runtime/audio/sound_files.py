"""Which files of a folder are sound, by their names."""

from __future__ import annotations

from pathlib import Path

import soundfile

from ds2edge.runtime.errors import InputError

# RAW says nothing of its rate, so that no program could read it unasked.
READ = frozenset(f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW")
SOUNDS = READ | {".opus", ".oga", ".aif", ".mp2", ".snd", ".rf64"}
# What FFmpeg reads, where it is installed.
FILMS = frozenset(
    {
        ".m4a",
        ".m4b",
        ".mp4",
        ".mov",
        ".m4v",
        ".webm",
        ".mkv",
        ".mka",
        ".wma",
        ".asf",
        ".wmv",
        ".aac",
        ".amr",
        ".3gp",
    }
    | {
        ".3ga",
        ".3g2",
        ".avi",
        ".ac3",
        ".flv",
        ".ts",
        ".ape",
        ".wv",
        ".ra",
        ".rm",
        ".spx",
        ".ogv",
        ".weba",
        ".dts",
    }
)


def sounds_in(folder: Path) -> list[Path]:
    """The sound files in a folder and those below it, in order, without what a Mac or Windows adds to them.

    InputError if there are none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUNDS | FILMS and not added(path, folder)
    )
    if not found:
        raise InputError(f"{folder}: holds no sound file")
    return found


def added(path: Path, folder: Path) -> bool:
    """Whether a system put this file there: ._NAME and __MACOSX of a Mac, hidden files and folders of any."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part in {"__MACOSX", "$RECYCLE.BIN"} for part in parts)
