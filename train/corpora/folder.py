"""Recordings of one's own: audio with its text beside it, or a table that lists both."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ds2edge.runtime.audio.file_types import is_audio, is_system_file
from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.importing import NAMED, Utterance, write_corpus
from ds2edge.train.corpora.own_ljspeech import METADATA, lists_clips, own_clips
from ds2edge.train.corpora.tables import read_table
from ds2edge.train.data.manifest import SPLITS

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

    `source`: a folder, in which every sound file has its text beside it in a .txt, or a CSV or TSV file with the
    columns audio (relative to the table) and text, and if wanted split and speaker; or a metadata.csv in LJSpeech's
    form. Where the table names no split, a
    hash decides: of the speaker where there is one and `by_speaker` is set, else of the path. So a clip keeps its
    split however many others come later. `folder_is_speaker`: without a table, the folder a clip lies in is its
    speaker. InputError for a table that lacks something, and as for `write_corpus`.
    """
    if not 0 <= dev_share + test_share < 1:
        raise InputError(
            f"--dev-share {dev_share:g} and --test-share {test_share:g} leave nothing to train on"
        )
    if source.is_dir() and (source / METADATA).is_file():
        source = source / METADATA
    if source.suffix.lower() in TABLES and source.is_file():
        listed = list(_of_table(source))
    elif source.is_dir():
        listed = list(_of_folder(source, folder_is_speaker))
    else:
        raise InputError(f"{source}: neither a folder nor a .csv or .tsv file")
    utterances = []
    for utterance in listed:
        path = os.path.relpath(utterance.audio, source if source.is_dir() else source.parent)
        key = utterance.speaker if utterance.speaker and by_speaker else path
        split = utterance.split or drawn_split(key, dev_share, test_share)
        utterances.append(replace(utterance, split=split))
    for split, share in (("dev", dev_share), ("test", test_share)):
        if share and not any(utterance.split == split for utterance in utterances):
            log.warning(
                "no clip fell to split %s: name it in a table, or draw by clip with --split-by file",
                split,
            )
    return write_corpus(utterances, folder, skip_bad)


def drawn_split(key: str, dev_share: float, test_share: float) -> str:
    """The split that a hash of `key` falls into; the shares are of all keys."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "dev" if place < dev_share else "test" if place < dev_share + test_share else "train"


def _of_folder(source: Path, folder_is_speaker: bool) -> Iterator[Utterance]:
    without = []
    paths = [path for path in sorted(source.rglob("*")) if not is_system_file(path, source)]
    texts = {path.with_suffix(""): path for path in paths if path.suffix.lower() == ".txt"}
    for path in (path for path in paths if is_audio(path)):
        text = texts.get(path.with_suffix(""))
        if text is None:
            without.append(path)
            continue
        yield Utterance(path, _said(text), "", path.parent.name if folder_is_speaker else "")
    if without:
        named = ", ".join(str(path.relative_to(source)) for path in without[:NAMED])
        more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
        log.warning(
            "%s: %d sound files have no .txt beside them and are left out: %s%s",
            source,
            len(without),
            named,
            more,
        )


def _said(text: Path) -> str:
    try:
        return " ".join(text.read_text("utf-8-sig").split())
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{text}: not a readable text file in UTF-8") from None


def _of_table(source: Path) -> Iterator[Utterance]:
    if lists_clips(source):
        yield from own_clips(source)
        return
    for number, row in read_table(source, ("audio", "text")):
        split = row.get("split", "")
        if split and split not in SPLITS:
            raise InputError(f"{source}:{number}: split '{split}' is none of {', '.join(SPLITS)}")
        audio = source.parent / row["audio"]
        yield Utterance(audio, row["text"], split, row.get("speaker", ""), f"{source}:{number}")
