"""Recordings in the layout of LJSpeech: metadata.csv of `id|text` or `id|text|text as read`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ds2edge.runtime.audio.file_types import is_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.train.corpora.importing import ListedClip, read_lines

METADATA = "metadata.csv"


def is_metadata(path: Path) -> bool:
    """Whether a table has this layout: two or three fields between bars, and no header."""
    try:
        fields = read_text(path).partition("\n")[0].split("|")
    except InputError:
        return False
    if len(fields) not in (2, 3) or "," in fields[0]:
        return False
    return [name.strip() for name in fields[:2]] != ["audio", "text"]


def read_metadata(metadata: Path) -> Iterator[ListedClip]:
    """Yields the clips of such a table, without a split. InputError, with the line, for a bad one.

    Sound files are looked for beside the table, in wavs/ and in wav/.
    """
    files: dict[str, Path] = {}
    for folder in (metadata.parent, metadata.parent / "wavs", metadata.parent / "wav"):
        if folder.is_dir():
            files |= {path.stem: path for path in sorted(folder.iterdir()) if is_audio(path)}

    def parse(line: str) -> ListedClip:
        fields = [field.strip() for field in line.split("|")]
        if len(fields) not in (2, 3):
            raise ValueError(
                f"{len(fields)} fields between '|' where there are 2 or 3: {line[:60]!r}"
            )
        name = Path(fields[0]).name
        expected = metadata.parent / "wavs" / f"{name}.wav"
        path = files.get(name) or files.get(Path(name).stem) or expected
        return ListedClip(path, fields[-1] or fields[1], "")

    for number, clip in enumerate(read_lines(metadata, parse), 1):
        yield replace(clip, where=f"{metadata}: clip {number}")
