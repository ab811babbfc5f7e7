"""Mozilla Common Voice: read sentences by many thousands, CC0. Its site gives it to those who sign in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.archives import unpack
from ds2edge.train.corpora.importing import Utterance, write_corpus
from ds2edge.train.corpora.tables import read_table
from ds2edge.train.data.manifest import SPLITS

CLIPS, SPOKEN_CLIPS = "clips", "audios"  # folders of read sentences and of spontaneous speech
SPOKEN = "ss-corpus-*.tsv"  # Common Voice Spontaneous Speech: one table, whose column split says the split


def import_commonvoice(release: Path, folder: Path, skip_bad: bool = False) -> Path:
    """Writes `folder`/manifest.jsonl of a release and returns its path.

    `release`: the folder of a language with train.tsv, dev.tsv and test.tsv, or with the table of Spontaneous Speech;
    a folder above it; or the .tar.gz that the site gives, which is unpacked into `folder`. The splits are Common
    Voice's own: no speaker is in two of them. InputError if there is none, or a row that is not one of Common Voice.
    """
    if release.is_file():
        target = folder / release.name.split(".tar")[0]
        unpack(release, "", target)
        release = target
    language = _language(release)
    spoken = next(iter(sorted(language.glob(SPOKEN))), None)
    utterances = list(_spontaneous(spoken)) if spoken else list(_read(language))
    return write_corpus(utterances, folder, skip_bad)


def _language(release: Path) -> Path:
    """The folder with the tables: the given one, or the only one up to two below it."""
    for pattern in (".", "*", "*/*"):
        folders = sorted(release.glob(pattern)) if pattern != "." else [release]
        found = [folder for folder in folders if _tables(folder) or next(folder.glob(SPOKEN), None)]
        if len(found) > 1:
            names = ", ".join(str(folder.relative_to(release)) for folder in found)
            raise InputError(
                f"{release}: holds several languages: give the folder of one of {names}"
            )
        if found:
            return found[0]
    raise InputError(
        f"{release}: holds no train.tsv, dev.tsv or test.tsv: give the folder of a language"
    )


def _tables(language: Path) -> dict[str, Path]:
    return {split: path for split in SPLITS if (path := language / f"{split}.tsv").is_file()}


def _read(language: Path) -> Iterator[Utterance]:
    for split, table in _tables(language).items():
        for number, row in read_table(table, ("client_id", "path", "sentence")):
            path = language / CLIPS / row["path"]
            if not path.suffix:  # of the first releases
                path = path.with_suffix(".mp3")
            yield Utterance(path, row["sentence"], split, row["client_id"], f"{table}:{number}")


def _spontaneous(table: Path) -> Iterator[Utterance]:
    """Rows that were transcribed and given a split; the others are not meant for training."""
    for number, row in read_table(table, ("client_id", "audio_file", "transcription", "split")):
        if row["split"] in SPLITS and row["transcription"].strip():
            path = table.parent / SPOKEN_CLIPS / row["audio_file"]
            yield Utterance(
                path, row["transcription"], row["split"], row["client_id"], f"{table}:{number}"
            )
