"""Mozilla Common Voice: read sentences by many thousands, CC0. Its site gives it to those who sign in."""

from __future__ import annotations

from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.importing import Utterance, write_corpus
from ds2edge.train.corpora.tables import read_table
from ds2edge.train.manifest import SPLITS


def import_commonvoice(release: Path, folder: Path) -> Path:
    """Writes `folder`/manifest.jsonl of train.tsv, dev.tsv and test.tsv of a language's folder; returns its path.

    The splits are Common Voice's own: no speaker is in two of them. InputError if there is none of the three, or a
    row that is not one of Common Voice.
    """
    tables = {split: release / f"{split}.tsv" for split in SPLITS if (release / f"{split}.tsv").is_file()}
    if not tables:
        raise InputError(f"{release}: holds no train.tsv, dev.tsv or test.tsv: give the folder of a language")
    utterances = [
        Utterance(release / "clips" / row["path"], row["sentence"], split, row["client_id"])
        for split, table in tables.items()
        for _, row in read_table(table, ("client_id", "path", "sentence"))
    ]
    return write_corpus(utterances, folder)
