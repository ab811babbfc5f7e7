"""LJSpeech 1.1: one reader, 24 hours, public domain (keithito.com/LJ-Speech-Dataset)."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.archives import Archive, fetch, unpack
from ds2edge.train.corpora.folder import import_folder
from ds2edge.train.corpora.importing import Utterance, find_folder, read_lines, write_corpus
from ds2edge.train.corpora.own_ljspeech import METADATA

log = logging.getLogger("ds2edge")

URL = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
SIZE = 2_748_572_632  # bytes
# Its author publishes no checksum. This is the one that torchaudio and Homebrew hold it to.
CHECKSUM = "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
TOP = "LJSpeech-1.1"
CLIPS = 13_100  # as its page says

SHARE = 0.05  # of a voice of one's own: dev, and test
DEV = ("LJ010", "LJ040")
TEST = ("LJ020", "LJ030", "LJ050")


def split_of(name: str) -> str:
    """Split of a clip, by its chapter: LJ010 and LJ040 are dev, LJ020, LJ030 and LJ050 are test, the others train.

    A clip is called CHAPTER-NUMBER, and the 50 chapters, LJ001 to LJ050, are cut into clips at every breath. So no
    passage is in two splits, which a draw of clips cannot promise. Every tenth chapter is held out, so that dev and
    test have more than one of the seven books each. ValueError for another name.
    """
    chapter, _, number = name.partition("-")
    if not (chapter.startswith("LJ") and chapter[2:].isdecimal() and number.isdecimal()):
        raise ValueError(f"'{name}' is not the name of a clip, such as LJ001-0001")
    return "dev" if chapter in DEV else "test" if chapter in TEST else "train"


def import_ljspeech(folder: Path, source: Path | None = None, url: str = URL) -> Path:
    """Writes `folder`/manifest.jsonl and returns its path. The corpus is downloaded into `folder`, from `url`.

    Or it is `source`, the archive or the folder that it unpacks to; audio in a folder stays where it is. InputError if
    anything is missing or damaged.
    """
    if source is None:
        root = fetch(Archive(f"{TOP}.tar.bz2", url, SIZE, CHECKSUM), folder, TOP)
    elif source.is_dir():
        root = find_folder(source, TOP, METADATA)
    elif source.is_file():
        root = folder / TOP
        unpack(source, TOP, root)
    else:
        raise InputError(f"{source}: no such file or folder")
    if not _published(root / METADATA):
        log.info(
            "%s: not LJSpeech itself but a voice in its form: splits are drawn clip by clip",
            root / METADATA,
        )
        return import_folder(root / METADATA, folder, SHARE, SHARE, False, False)
    utterances = read_lines(root / METADATA, partial(_utterance, root))
    if len(utterances) != CLIPS:
        log.warning(
            "%s: lists %d clips; the whole corpus has %d", root / METADATA, len(utterances), CLIPS
        )
    return write_corpus(utterances, folder)


def _published(metadata: Path) -> bool:
    """Whether the first clip is called as LJSpeech's are."""
    try:
        first = metadata.read_text("utf-8-sig").lstrip().partition("|")[0]
        return bool(split_of(first))
    except (OSError, ValueError):
        return False


def _utterance(root: Path, line: str) -> Utterance:
    """Of `LJ001-0001|As printed, 1455|as read, fourteen fifty-five`."""
    fields = line.split("|")
    if len(fields) != 3:
        raise ValueError(
            f"{len(fields)} fields between '|' where there are 3 in LJSpeech: {line[:60]!r}"
        )
    name, _, text = fields
    return Utterance(root / "wavs" / f"{name}.wav", text.strip(), split_of(name), "LJ")
