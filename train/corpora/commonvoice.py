"""Mozilla Common Voice: sentences read by many thousands of people, and spontaneous speech. CC0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.archives import unpack
from ds2edge.train.corpora.importing import ListedClip, write_corpus
from ds2edge.train.corpora.tables import read_table
from ds2edge.train.data.manifest import SPLITS

READ_CLIPS = "clips"  # folder of the read sentences
SPONTANEOUS_CLIPS = "audios"  # folder of the spontaneous speech
SPONTANEOUS_TABLE = "ss-corpus-*.tsv"  # one table, with a column for the split


def import_commonvoice(release: Path, folder: Path, skip_bad: bool = False) -> Path:
    """Writes `folder`/manifest.jsonl of a release and returns its path.

    `release` is the folder of a language with train.tsv, dev.tsv and test.tsv, or with the table
    of Spontaneous Speech; or a folder above it; or the .tar.gz of the site, which is unpacked into
    `folder`. The splits are Common Voice's own: no speaker is in two of them.

    InputError if there is no such table, for a malformed row, and as in `write_corpus`.
    """
    if release.is_file():
        target = folder / release.name.split(".tar")[0]
        unpack(release, "", target)
        release = target
    language = _language_folder(release)
    spontaneous = _spontaneous_table(language)
    clips = _read_spontaneous(spontaneous) if spontaneous else _read_splits(language)
    return write_corpus(list(clips), folder, skip_bad)


def _language_folder(release: Path) -> Path:
    """The folder with the tables: the given one, or the only one up to two levels below it."""
    for folders in ([release], sorted(release.glob("*")), sorted(release.glob("*/*"))):
        languages = [
            folder for folder in folders if _split_tables(folder) or _spontaneous_table(folder)
        ]
        if len(languages) > 1:
            names = ", ".join(str(folder.relative_to(release)) for folder in languages)
            raise InputError(
                f"{release}: holds several languages: give the folder of one of {names}"
            )
        if languages:
            return languages[0]
    raise InputError(
        f"{release}: holds no train.tsv, dev.tsv or test.tsv: give the folder of a language"
    )


def _split_tables(language: Path) -> dict[str, Path]:
    return {split: path for split in SPLITS if (path := language / f"{split}.tsv").is_file()}


def _spontaneous_table(language: Path) -> Path | None:
    return min(language.glob(SPONTANEOUS_TABLE), default=None)


def _read_splits(language: Path) -> Iterator[ListedClip]:
    for split, table in _split_tables(language).items():
        for number, row in read_table(table, ("client_id", "path", "sentence")):
            path = language / READ_CLIPS / row["path"]
            if not path.suffix:  # in the first releases
                path = path.with_suffix(".mp3")
            yield ListedClip(path, row["sentence"], split, row["client_id"], f"{table}:{number}")


def _read_spontaneous(table: Path) -> Iterator[ListedClip]:
    """Rows with a transcription and a split; the others are not meant for training."""
    for number, row in read_table(table, ("client_id", "audio_file", "transcription", "split")):
        split = row["split"]
        text = row["transcription"]
        if split in SPLITS and text.strip():
            path = table.parent / SPONTANEOUS_CLIPS / row["audio_file"]
            yield ListedClip(path, text, split, row["client_id"], f"{table}:{number}")
