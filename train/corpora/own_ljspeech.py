"""A voice of one's own in LJSpeech's form: metadata.csv of `id|text` or `id|text|text as read`, and clips in wavs/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ds2edge.runtime.audio.file_types import is_audio
from ds2edge.train.corpora.importing import Utterance, read_lines

METADATA = "metadata.csv"


def lists_clips(path: Path) -> bool:
    """Whether a table is of that form: its first line has two or three fields between bars, and no header."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            fields = file.readline().split("|")
    except (OSError, UnicodeDecodeError):
        return False
    return (
        len(fields) in (2, 3)
        and "," not in fields[0]
        and [name.strip() for name in fields[:2]] != ["audio", "text"]
    )


def own_clips(metadata: Path) -> Iterator[Utterance]:
    """The clips of such a table; their splits are still to be drawn. InputError, with the line, for what is none."""
    found: dict[str, Path] = {}
    for folder in (metadata.parent, metadata.parent / "wavs", metadata.parent / "wav"):
        if folder.is_dir():
            listed = (path for path in sorted(folder.iterdir()) if is_audio(path))
            found |= {path.stem: path for path in listed}

    def clip(line: str) -> Utterance:
        fields = [field.strip() for field in line.split("|")]
        if len(fields) not in (2, 3):
            raise ValueError(
                f"{len(fields)} fields between '|' where there are 2 or 3: {line[:60]!r}"
            )
        name = Path(fields[0]).name
        path = (
            found.get(name)
            or found.get(Path(name).stem)
            or metadata.parent / "wavs" / f"{name}.wav"
        )
        return Utterance(path, fields[-1] or fields[1], "")

    for number, utterance in enumerate(read_lines(metadata, clip), 1):
        yield Utterance(utterance.audio, utterance.text, "", "", f"{metadata}: clip {number}")
