"""LibriSpeech: 1,000 hours of audio books by 2,484 readers, CC BY 4.0 (openslr.org/12 and /31)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.archives import Archive, fetch, unpack
from ds2edge.train.corpora.importing import ListedClip, read_lines, write_corpus

MIRROR = "https://www.openslr.org/resources"
TOP = "LibriSpeech"
# Subset: number of the resource, bytes, and the MD5 sum that openslr.org publishes.
SUBSETS = {
    "train-clean-5": (31, 332_954_390, "5df7d4e78065366204ca6845bb08f490"),
    "train-clean-100": (12, 6_387_309_499, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": (12, 23_049_477_885, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": (12, 30_593_501_606, "d1a0fd59409feb2c614ce4d30c387708"),
    "dev-clean-2": (31, 126_046_265, "6d7ab67ac6a1d2c993d050e16d61080d"),
    "dev-clean": (12, 337_926_286, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": (12, 314_305_928, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": (12, 346_663_984, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": (12, 328_757_843, "fb5a50374b501bb3bac4815ee91d3135"),
}


def import_librispeech(
    subsets: Iterable[str],
    folder: Path,
    source: Path | None = None,
    mirror: str = MIRROR,
    skip_bad: bool = False,
) -> Path:
    """Writes `folder`/manifest.jsonl of the subsets and returns its path.

    The first word of a subset's name is its split. Subsets are downloaded from `mirror` into
    `folder`, or taken from the folder `source`, as archives or unpacked. Audio that is unpacked
    there stays there. InputError if anything is missing or damaged, and as
    in `write_corpus`.
    """
    clips: list[ListedClip] = []
    for subset in subsets:
        root = _local(subset, source, folder) if source else _download(subset, folder, mirror)
        clips += _read_subset(root, subset.partition("-")[0])
    return write_corpus(clips, folder, skip_bad)


def _download(subset: str, folder: Path, mirror: str) -> Path:
    resource, size, md5 = SUBSETS[subset]
    name = f"{subset}.tar.gz"
    url = f"{mirror.rstrip('/')}/{resource}/{name}"
    return fetch(Archive(name, url, size, f"md5:{md5}"), folder, TOP) / subset


def _local(subset: str, source: Path, folder: Path) -> Path:
    for root in (source / subset, source / TOP / subset, source / subset / subset):
        if root.is_dir() and next(root.glob("*/*/*.trans.txt"), None):
            return root
    archive = source / f"{subset}.tar.gz"
    if not archive.is_file():
        raise InputError(f"{source}: holds no {TOP}/{subset} and no {subset}.tar.gz")
    unpack(archive, TOP, folder / subset)
    return folder / subset / subset


def _read_subset(root: Path, split: str) -> Iterator[ListedClip]:
    """Yields the clips in SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt of a subset."""
    transcripts = sorted(root.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise InputError(f"{root}: holds no SPEAKER/CHAPTER/*.trans.txt")
    for path in transcripts:
        yield from read_lines(path, partial(_parse, path.parent, split))


def _parse(chapter: Path, split: str, line: str) -> ListedClip:
    """Parses `SPEAKER-CHAPTER-NUMBER THE TEXT`. ValueError for a clip of another chapter."""
    name, _, text = line.partition(" ")
    if not name.startswith(f"{chapter.parent.name}-{chapter.name}-"):
        raise ValueError(f"'{name[:40]}' is not the name of a clip of this chapter")
    return ListedClip(chapter / f"{name}.flac", text.strip(), split, chapter.parent.name)
