"""LJSpeech 1.1: 24 hours by one reader, public domain (keithito.com/LJ-Speech-Dataset)."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.train.corpora.archives import Archive, fetch, unpack
from ds2edge.train.corpora.folder import import_folder
from ds2edge.train.corpora.importing import ListedClip, find_folder, read_lines, write_corpus
from ds2edge.train.corpora.own_ljspeech import METADATA

log = logging.getLogger("ds2edge")

URL = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
SIZE = 2_748_572_632  # bytes
# The author publishes no checksum. This is the one that torchaudio and Homebrew use.
CHECKSUM = "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
TOP = "LJSpeech-1.1"
CLIPS = 13_100  # as its page says

OWN_SHARE = 0.05  # of dev, and of test, in other recordings of this layout
DEV = ("LJ010", "LJ040")
TEST = ("LJ020", "LJ030", "LJ050")


def split_of(name: str) -> str:
    """The split of a clip, by its chapter.

    LJ010 and LJ040 are dev, LJ020, LJ030 and LJ050 are test, the other 45 chapters are train. A
    clip is named CHAPTER-NUMBER. The chapters are cut into clips at every breath, so random clips
    would put neighbouring sentences into different splits. Every tenth chapter is held out, so
    that dev and test have more than one of the seven books each.

    ValueError if this is not the name of a clip.
    """
    chapter, _, number = name.partition("-")
    if not (chapter.startswith("LJ") and chapter[2:].isdecimal() and number.isdecimal()):
        raise ValueError(f"'{name}' is not the name of a clip, such as LJ001-0001")
    if chapter in DEV:
        return "dev"
    return "test" if chapter in TEST else "train"


def import_ljspeech(
    folder: Path, source: Path | None = None, url: str = URL, skip_bad: bool = False
) -> Path:
    """Writes `folder`/manifest.jsonl and returns its path.

    The corpus is downloaded from `url` into `folder`. With `source`, the archive or its unpacked
    folder, nothing is downloaded, and audio in a folder stays where it is. InputError if anything
    is missing or damaged.
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
    metadata = root / METADATA
    if not _is_ljspeech(metadata):
        log.info("%s: not LJSpeech itself: each clip's split is chosen by its hash", metadata)
        return import_folder(metadata, folder, OWN_SHARE, OWN_SHARE, False, False, skip_bad)
    clips = read_lines(metadata, partial(_parse, root))
    if len(clips) != CLIPS:
        log.warning("%s: lists %d clips; the whole corpus has %d", metadata, len(clips), CLIPS)
    return write_corpus(clips, folder, skip_bad)


def _is_ljspeech(metadata: Path) -> bool:
    """Whether the first clip is named like those of LJSpeech."""
    try:
        first = read_text(metadata).lstrip().partition("|")[0]
        return bool(split_of(first))
    except (InputError, ValueError):
        return False


def _parse(root: Path, line: str) -> ListedClip:
    """Parses `LJ001-0001|As printed, 1455|as read, fourteen fifty-five`."""
    fields = line.split("|")
    if len(fields) != 3:
        raise ValueError(
            f"{len(fields)} fields between '|' where there are 3 in LJSpeech: {line[:60]!r}"
        )
    name, _, text = fields
    return ListedClip(root / "wavs" / f"{name}.wav", text.strip(), split_of(name), "LJ")
