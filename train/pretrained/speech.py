"""Makes the manifest of real speech for the pretrained model: speech.py DATA MORE OUT

The training on the GPU was before librispeech_dev_clean and commonvoice_deltas were added.

Writes OUT/manifest.jsonl with audio, text (normalised), duration, split, speaker, corpus and weight
of each clip, and OUT/texts.txt with the sentences of the train clips, for `ds2edge synthesise`. It
takes seconds and copies no audio. OUT belongs outside of the project's tree.

DATA holds a folder for each corpus of `CORPORA` that is not `more`, and for any other corpus whose
dev and test sentences must not be trained on. A folder holds audio and its `manifest.jsonl`, with
audio, duration, text, split and possibly speaker. LJSpeech's `text_normalized` is used before text.

MORE holds speech of public repositories: what `repositories.py` beside this script writes, and the
output of `collect.py NAME GIT_DIR MORE`, which lies beside the data in `more_speech`. A bare clone
is enough: `git clone --bare https://github.com/OWNER/NAME`.

    NAME                      repository                  licence
    speechocean762            jimbozhang/speechocean762   CC BY 4.0
    commonvoice_13delta       korliu/whisper              CC0
    librispeech_resemblyzer   resemble-ai/Resemblyzer     CC BY 4.0

Most clips of the last two have no transcript. Their texts, in heard.jsonl.gz, are those of Whisper
tiny.en (greedy). The weight depends on the share of words that Moonshine tiny recognises
differently: 1 up to 0.1, 0.8 up to 0.25, 0.4 up to 0.4, 0.15 up to 0.6. Clips that are not in that
file are left out: the two models differ by more, or the mean log probability of Whisper is below
-1.2. speechocean762 has weight 0.33: its accents are strong, and some words are misread.

Dev consists of the dev clips of librispeech_heldout4 and ljspeech_part, and of those clips of
commonvoice_v1_valid_dev whose file name has an even CRC-32; the others are for tests. No train clip
has a sentence that is dev or test in any corpus of DATA.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.audio.reader import scan_audio
from ds2edge.runtime.cli import OneLineErrors
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import write_whole
from ds2edge.train.corpora.importing import read_lines
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.data.text import normalise
from ds2edge.train.progress import track

HEARD = Path(__file__).with_name("heard.jsonl.gz")
SECONDS = (0.3, 24.0)  # shortest and longest train clip
MAX_UNREADABLE = 0.01  # of all clips

Row = dict[str, Any]  # a line of a manifest
Labels = dict[str, tuple[str, float]]  # CORPUS/FILE_STEM -> text and weight


@dataclass(frozen=True)
class Corpus:
    """Which clips of a corpus to use, and their weight."""

    name: str
    train: str = "train"  # the split to train on; "": none
    dev: bool = False  # use its dev clips
    more: bool = False  # it lies in MORE, not in DATA
    heard: bool = False  # use only clips without a transcript, with texts of heard.jsonl.gz
    weight: float = 1.0


CORPORA = (
    Corpus("librispeech_heldout4", train="", dev=True),
    Corpus("ljspeech_part", dev=True),
    Corpus("commonvoice_v1_valid_dev", dev=True),
    Corpus("librispeech_train_clean_5"),
    Corpus("librispeech_tc100_extra"),
    Corpus("commonvoice_13delta"),
    Corpus("commonvoice_6_1_sample_en", train="extra"),
    Corpus("kathleen"),
    Corpus("synthetic_kokoro"),
    Corpus("librispeech_dev_clean", more=True),
    Corpus("commonvoice_deltas", more=True),
    Corpus("librispeech_resemblyzer", more=True, heard=True),
    Corpus("commonvoice_13delta", more=True, heard=True),
    Corpus("speechocean762", more=True, weight=0.33),
)
HALVED = "commonvoice_v1_valid_dev"  # half of its dev clips become dev, the other half are tests
# Test corpora: never trained on, whatever their manifests say.
TEST_CORPORA = frozenset({"coffee_commands", "fsdd", "speech_commands_350"})
assert not TEST_CORPORA & {corpus.name for corpus in CORPORA}


def read_rows(manifest: Path) -> list[Row]:
    """Lines of a corpus's manifest, which may have more fields. InputError if it lacks some."""
    rows: list[Row] = read_lines(manifest, json.loads)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not {"audio", "text", "split"} <= row.keys():
            raise InputError(f"{manifest}: clip {number} lacks audio, text or split")
    return rows


def read_heard(path: Path = HEARD) -> Labels:
    """Recognised texts of clips that have no transcript."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["id"]: (row["text"], row["weight"]) for row in rows}


def text_of(row: Row) -> str:
    """The normalised text of a clip. The corpus's own text as it is read goes first."""
    return normalise(row.get("text_normalized") or row["text"]).text


def forbidden_sentences(data: Path) -> frozenset[str]:
    """All dev and test sentences of the corpora in a folder, normalised."""
    sentences: set[str] = set()
    for manifest in sorted(data.glob("*/manifest.jsonl")):
        for row in read_rows(manifest):
            if row["split"] in ("dev", "test"):
                sentences |= {text_of(row), normalise(row["text"]).text}
    return frozenset(sentences - {""})


def clips_of(corpus: Corpus, folder: Path, labels: Labels) -> Iterator[Row]:
    """Yields lines of the new manifest, without durations, for the clips of a corpus to use."""
    for row in read_rows(folder / corpus.name / "manifest.jsonl"):
        audio = folder / corpus.name / row["audio"]
        dev = corpus.dev and row["split"] == "dev"
        if not dev and row["split"] != corpus.train:
            continue
        if corpus.name == HALVED and dev and not in_dev_half(audio):
            continue
        if corpus.more and bool(row.get("heard")) != corpus.heard:
            continue
        text = text_of(row)
        weight = corpus.weight
        if corpus.heard:
            text, weight = labels.get(f"{corpus.name}/{audio.stem}", (text, 0.0))
        yield {
            "audio": str(audio.resolve()),
            "text": text,
            "split": "dev" if dev else "train",
            "speaker": str(row.get("speaker") or ""),
            "corpus": corpus.name,
            "weight": weight,
            "sentences": {text, text_of(row)},  # as each of the two models recognised it
        }


def in_dev_half(audio: Path) -> bool:
    """Whether a dev clip of the corpus HALVED is used as dev. The others are its test set."""
    return zlib.crc32(audio.name.encode()) % 2 == 0


def why_not(clip: Row, forbidden: frozenset[str]) -> str:
    """Why to leave out a clip; "" if it is used. Without a duration it could not be read."""
    if "duration" not in clip:
        return "unreadable"
    if clip["split"] == "dev":
        return ""
    if not clip["weight"]:
        return "two models recognise different texts"
    if not clip["text"]:
        return "no text"
    if not SECONDS[0] <= clip["duration"] <= SECONDS[1]:
        return f"not {SECONDS[0]:g} to {SECONDS[1]:g} s"
    return "a dev or test sentence" if clip["sentences"] & forbidden else ""


def measured(clip: Row) -> Row:
    """The clip with its duration; without it if the clip cannot be read."""
    try:
        audio = scan_audio(clip["audio"])
        return clip | {"duration": round(audio.level.samples / audio.rate, 4)}
    except InputError:
        return clip


def collect(data: Path, more: Path, labels: Labels) -> tuple[list[Row], Counter[tuple[str, str]]]:
    """Lines of the new manifest, and numbers of clips left out, by corpus and reason.

    InputError if a corpus is missing, or more than 1 % of the clips cannot be read.
    """
    for corpus in CORPORA:
        manifest = (more if corpus.more else data) / corpus.name / "manifest.jsonl"
        if not manifest.is_file():
            place = "MORE" if corpus.more else "DATA"
            raise InputError(f"{manifest}: no such manifest: {place} must hold it")
    forbidden = forbidden_sentences(data)
    listed = [clip for c in CORPORA for clip in clips_of(c, more if c.more else data, labels)]
    used: list[Row] = []
    left_out: Counter[tuple[str, str]] = Counter()
    what = f"measuring {len(listed)} clips"
    with ThreadPoolExecutor() as pool:
        for clip in track(pool.map(measured, listed), what, len(listed)):
            if reason := why_not(clip, forbidden):
                left_out[clip["corpus"], reason] += 1
                continue
            del clip["sentences"]
            used.append(clip)
    unreadable = sum(count for (_, reason), count in left_out.items() if reason == "unreadable")
    if unreadable > MAX_UNREADABLE * len(listed):
        raise InputError(f"{unreadable} of {len(listed)} clips, more than 1 %, cannot be read")
    return used, left_out


def report(clips: list[Row], left_out: Counter[tuple[str, str]]) -> None:
    """Prints clips and hours by corpus and split, and the numbers of clips left out."""
    # Clips, seconds and weighted seconds.
    amounts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    named = [(clip["corpus"], clip) for clip in clips] + [("all", clip) for clip in clips]
    for name, clip in named:
        sums = amounts[name, clip["split"]]
        sums[0] += 1
        sums[1] += clip["duration"]
        sums[2] += clip["duration"] * clip["weight"]
    for (name, split), (count, seconds, weighted) in amounts.items():
        hours = f"{seconds / 3600:.2f} h, {weighted / 3600:.2f} h by weight"
        click.echo(f"{name} {split}: {count:.0f} clips, {hours}")
    for (name, reason), count in sorted(left_out.items()):
        click.echo(f"left out of {name}: {count} clips ({reason})")


@click.command(cls=OneLineErrors)
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("more", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(data: Path, more: Path, out: Path) -> None:
    """Write OUT/manifest.jsonl and OUT/texts.txt from the corpora in DATA and MORE."""
    clips, left_out = collect(data, more, read_heard())
    texts = [clip["text"] for clip in clips if clip["split"] == "train"]
    lines = [json.dumps(clip, ensure_ascii=False) for clip in clips]
    write_whole(out / "texts.txt", "".join(f"{text}\n" for text in texts))
    write_whole(out / "manifest.jsonl", "".join(f"{line}\n" for line in lines))
    assert len(read_manifest(out / "manifest.jsonl")) == len(clips)
    report(clips, left_out)


if __name__ == "__main__":
    main()
