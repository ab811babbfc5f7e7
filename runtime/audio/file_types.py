"""Tells audio files from other files by their names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import soundfile

from ds2edge.runtime.errors import InputError

# RAW files do not say their sample rate, so no program can read them without options. SDS is a
# MIDI sample dump, whose errors libsndfile prints to standard output.
UNREAD = ("RAW", "SDS")
_FORMATS = {f".{name.lower()}" for name in soundfile.available_formats() if name not in UNREAD}
LIBSNDFILE_SUFFIXES = frozenset(_FORMATS | {".opus", ".oga", ".aif", ".mp2", ".snd", ".rf64"})
FFMPEG_SUFFIXES = frozenset(
    [
        *(".3g2", ".3ga", ".3gp", ".aac", ".ac3", ".amr", ".ape", ".asf", ".avi", ".dts", ".flv"),
        *(".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp4", ".ogv", ".ra", ".rm", ".spx"),
        *(".ts", ".weba", ".webm", ".wma", ".wmv", ".wv"),
    ]
)
AUDIO_SUFFIXES = LIBSNDFILE_SUFFIXES | FFMPEG_SUFFIXES


def is_audio(path: Path) -> bool:
    """Whether this is a file with the suffix of an audio or video file, in any case."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.is_dir()


def is_system_file(path: Path, folder: Path) -> bool:
    """Whether macOS or Windows put this file into `folder`, or it is hidden."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part in {"__MACOSX", "$RECYCLE.BIN"} for part in parts)


def find_audio_files(folder: Path) -> list[Path]:
    """Returns the audio files in a folder and its subfolders, sorted, without system files.

    Raises InputError if there are none.
    """
    files = sorted(
        path for path in folder.rglob("*") if is_audio(path) and not is_system_file(path, folder)
    )
    if not files:
        raise InputError(f"{folder}: holds no sound file (a suffix such as .wav tells)")
    return files


def expand_folders(paths: Iterable[Path]) -> list[Path]:
    """Returns the files, and in place of each folder the audio files in it.

    Raises InputError for a folder without any.
    """
    files: list[Path] = []
    for path in paths:
        files += find_audio_files(path) if path.is_dir() else [path]
    return files
