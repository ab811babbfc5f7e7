"""Your own recordings: audio files with text files beside them, or a table that lists both."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ds2edge.runtime.audio.file_types import is_audio, is_system_file
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.train.corpora.importing import ListedClip, write_corpus
from ds2edge.train.corpora.own_ljspeech import METADATA, is_metadata, read_metadata
from ds2edge.train.corpora.tables import read_table
from ds2edge.train.data.manifest import SPLITS
from ds2edge.train.data.skipped import NAMED

log = logging.getLogger("ds2edge")

TABLES = (".csv", ".tsv")


def import_folder(
    source: Path,
    folder: Path,
    dev_share: float,
    test_share: float,
    by_speaker: bool,
    folder_is_speaker: bool,
    skip_bad: bool = False,
) -> Path:
    """Writes `folder`/manifest.jsonl of `source` and returns its path.

    `source` is a folder in which every sound file has its text beside it in a .txt file, or a CSV
    or TSV file with the columns audio (relative to the table) and text, and optionally split and
    speaker, or a metadata.csv in the layout of LJSpeech.

    Where the table names no split, a hash decides: of the speaker if there is one and `by_speaker`
    is set, otherwise of the path. So a clip keeps its split when others are added.
    `folder_is_speaker`: the speaker is the folder that a clip lies in; not for tables.

    InputError for a malformed table, and as in `write_corpus`.
    """
    if not 0 <= dev_share + test_share < 1:
        raise InputError(
            f"--dev-share {dev_share:g} and --test-share {test_share:g} leave nothing to train on"
        )
    if source.is_dir() and (source / METADATA).is_file():
        source = source / METADATA
    if source.suffix.lower() in TABLES and source.is_file():
        listed = list(_read_table(source))
    elif source.is_dir():
        listed = list(_read_folder(source, folder_is_speaker))
    else:
        raise InputError(f"{source}: neither a folder nor a .csv or .tsv file")
    root = source if source.is_dir() else source.parent
    clips = []
    for clip in listed:
        path = os.path.relpath(clip.audio, root)
        key = clip.speaker if clip.speaker and by_speaker else path
        split = clip.split or choose_split(key, dev_share, test_share)
        clips.append(replace(clip, split=split))
    for split, share in (("dev", dev_share), ("test", test_share)):
        if share and not any(clip.split == split for clip in clips):
            log.warning(
                "split %s has no clip: set splits in a table, or use --split-by file", split
            )
    return write_corpus(clips, folder, skip_bad)


def choose_split(key: str, dev_share: float, test_share: float) -> str:
    """The split of a key, chosen by its hash. The shares are those of dev and test in all keys."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if place < dev_share:
        return "dev"
    return "test" if place < dev_share + test_share else "train"


def _read_folder(source: Path, folder_is_speaker: bool) -> Iterator[ListedClip]:
    paths = [path for path in sorted(source.rglob("*")) if not is_system_file(path, source)]
    texts = {path.with_suffix(""): path for path in paths if path.suffix.lower() == ".txt"}
    without_text = []
    for path in (path for path in paths if is_audio(path)):
        text = texts.get(path.with_suffix(""))
        if text is None:
            without_text.append(path)
            continue
        speaker = path.parent.name if folder_is_speaker else ""
        yield _with_text(ListedClip(path, "", "", speaker), text)
    if without_text:
        names = [str(path.relative_to(source)) for path in without_text[:NAMED]]
        more = len(without_text) - len(names)
        log.warning(
            "%s: %d sound files have no .txt file beside them and are left out: %s%s",
            source,
            len(without_text),
            ", ".join(names),
            f" and {more} more" if more else "",
        )


def _with_text(clip: ListedClip, path: Path) -> ListedClip:
    try:
        return replace(clip, text=" ".join(read_text(path).split()))
    except InputError as error:
        return replace(clip, problem=str(error))


def _read_table(source: Path) -> Iterator[ListedClip]:
    if is_metadata(source):
        yield from read_metadata(source)
        return
    for number, row in read_table(source, ("audio", "text")):
        where = f"{source}:{number}"
        split = row.get("split", "").lower()
        if split and split not in SPLITS:
            raise InputError(f"{where}: split '{split}' is none of {', '.join(SPLITS)}")
        audio = source.parent / row["audio"]
        yield ListedClip(audio, row["text"], split, row.get("speaker", ""), where)
