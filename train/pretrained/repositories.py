"""Collects the speech of public repositories: repositories.py CORPUS GIT_DIR... -o MORE

It does for two more corpora what `collect.py` of `more_speech` does for three: it writes
MORE/CORPUS/audio and MORE/CORPUS/manifest.jsonl, which `speech.py` reads. A GIT_DIR is a bare clone
(`git clone --bare https://github.com/OWNER/NAME`); the audio of all of them goes into one folder.

    CORPUS                  repositories                                      licence
    librispeech_dev_clean   felixbastian/Speaker_partition_module             CC BY 4.0
    commonvoice_deltas      shubhra-cv/17, shubhra-cv/18, shubhra-cv/19       CC0

Both have transcripts. The first holds 20 of the 40 speakers of LibriSpeech's dev-clean, as MP3
under names that end in .wav. A model that was trained on it must not be judged by dev-clean.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import click

from ds2edge.runtime.cli import OneLineErrors
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import write_whole
from ds2edge.train.progress import track

Row = dict[str, Any]  # a line of a manifest


class Repository:
    """The files of a bare clone's newest commit."""

    def __init__(self, folder: Path) -> None:
        """InputError if `folder` is not a git directory."""
        self.folder = folder
        listing = self._git("ls-tree", "-r", "--name-only", "-z", "HEAD").decode()
        self.paths = [PurePosixPath(path) for path in listing.split("\0") if path]

    def read(self, path: PurePosixPath) -> bytes:
        """The content of a file."""
        return self._git("cat-file", "blob", f"HEAD:{path}")

    def _git(self, *arguments: str) -> bytes:
        command = ["git", f"--git-dir={self.folder}", *arguments]
        try:
            return subprocess.run(command, capture_output=True, check=True).stdout
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            raise InputError(f"{self.folder}: not a bare clone: {reason}") from error


Clips = Iterator[tuple[PurePosixPath, Row]]  # path of the audio; text and speaker


def librispeech_clips(repository: Repository) -> Clips:
    """The clips of SPEAKER/CHAPTER folders, each with a file of transcripts."""
    for path in repository.paths:
        if path.name.endswith(".trans.txt"):
            for line in repository.read(path).decode().splitlines():
                name, text = line.split(" ", 1)
                yield path.with_name(f"{name}.wav"), {"text": text, "speaker": name.split("-")[0]}


def commonvoice_clips(repository: Repository) -> Clips:
    """The validated clips of a release."""
    for path in repository.paths:
        if path.name == "validated.tsv":
            table = repository.read(path).decode().splitlines()
            for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
                clip = path.parent / "validated_clips" / row["path"]
                yield clip, {"text": row["sentence"], "speaker": row["client_id"][:16]}


CORPORA: dict[str, Callable[[Repository], Clips]] = {
    "librispeech_dev_clean": librispeech_clips,
    "commonvoice_deltas": commonvoice_clips,
}


def collect(corpus: str, folder: Path, out: Path) -> list[Row]:
    """Writes the audio of one clone and returns its lines of the manifest. InputError as above."""
    repository = Repository(folder)
    held = set(repository.paths)
    rows = []
    listed = [(path, clip) for path, clip in CORPORA[corpus](repository) if path in held]
    if not listed:
        raise InputError(f"{folder}: holds no clip of {corpus}")
    for path, clip in track(listed, f"copying {folder.name}", len(listed)):
        write_whole(out / "audio" / path.name, repository.read(path))
        rows.append({"audio": f"audio/{path.name}", "split": "train", **clip})
    return rows


@click.command(cls=OneLineErrors)
@click.argument("corpus", type=click.Choice(list(CORPORA)))
@click.argument("clones", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "more", required=True, type=click.Path(path_type=Path))
def main(corpus: str, clones: tuple[Path, ...], more: Path) -> None:
    """Write MORE/CORPUS/audio and MORE/CORPUS/manifest.jsonl from bare clones."""
    out = more / corpus
    rows = [row for clone in clones for row in collect(corpus, clone, out)]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    write_whole(out / "manifest.jsonl", "".join(f"{line}\n" for line in lines))
    click.echo(f"{corpus}: {len(rows)} clips in {out}")


if __name__ == "__main__":
    main()
