"""The manifest that the pretrained model is trained on, made anew: speech.py DATA MORE OUT

Writes OUT/manifest.jsonl: audio, text (normalised), duration, split, speaker, corpus and weight;
and OUT/texts.txt, the sentences of its train clips, which synthesise.py can say. Given again, it
makes both anew, in seconds: nothing is copied, the clips stay where they are. OUT belongs outside
the project's tree.

DATA holds a folder for each corpus of `CORPORA` that is not `more`, and of any other whose dev and
test sentences shall not be trained on: `manifest.jsonl` (audio, duration, text, split, maybe
speaker; LJSpeech's `text_normalized` goes before its text) and the audio that it names.

MORE holds what `collect.py NAME GIT_DIR MORE`, which lies beside the data in `more_speech`, made of
three public repositories. A bare copy will do: `git clone --bare https://github.com/OWNER/NAME`.

    NAME                      repository                  licence
    speechocean762            jimbozhang/speechocean762   CC BY 4.0
    commonvoice_13delta       korliu/whisper              CC0
    librispeech_resemblyzer   resemble-ai/Resemblyzer     CC BY 4.0

Most clips of the last two have no transcript. Their texts are in heard.jsonl.gz: they are what
Whisper tiny.en heard (greedy). The weight says how far Moonshine tiny agrees, by the share of words
that differ: 1 up to 0.1, 0.8 up to 0.25, 0.4 up to 0.4, 0.15 up to 0.6. A clip that is not in that
file is left out: there the two differ by more, or Whisper doubts itself (mean log probability under
-1.2). speechocean762 weighs 0.33: strong accents, some words misread.

Dev is all dev clips of librispeech_heldout4 and ljspeech_part, and the half of
commonvoice_v1_valid_dev whose file name has an even CRC-32; the other half judges. No train clip
says a sentence that is dev or test in any corpus of DATA.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.audio.reader import scan_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora.importing import read_lines
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.data.text import normalise
from ds2edge.train.files import write_whole
from ds2edge.train.progress import track

HEARD = Path(__file__).with_name("heard.jsonl.gz")
SECONDS = (0.3, 24.0)  # of a train clip
MOST_UNREADABLE = 0.01  # of all clips

Row = dict[str, Any]
Labels = dict[str, tuple[str, float]]  # text and weight of CORPUS/FILE_STEM


@dataclass(frozen=True)
class Corpus:
    """What is taken of a corpus, and how much it counts."""

    name: str
    train: str = "train"  # the split to train on; "": none
    dev: bool = False
    more: bool = False  # lies in MORE, not in DATA
    heard: bool = False  # only clips without a transcript, with the texts of heard.jsonl.gz
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
    Corpus("librispeech_resemblyzer", more=True, heard=True),
    Corpus("commonvoice_13delta", more=True, heard=True),
    Corpus("speechocean762", more=True, weight=0.33),
)
HALVED = "commonvoice_v1_valid_dev"  # one half of its dev chooses, the other judges
# Never trained on, whatever their manifests say: they judge what was never heard.
JUDGES = frozenset({"coffee_commands", "fsdd", "speech_commands_350"})
assert not JUDGES & {corpus.name for corpus in CORPORA}


def read_rows(manifest: Path) -> list[Row]:
    """Lines of a corpus's manifest, which may hold more than the kit's. InputError for others."""
    rows: list[Row] = read_lines(manifest, json.loads)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not {"audio", "text", "split"} <= row.keys():
            raise InputError(f"{manifest}: clip {number} lacks audio, text or split")
    return rows


def read_heard(path: Path = HEARD) -> Labels:
    """What was heard in clips that have no transcript."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["id"]: (row["text"], row["weight"]) for row in rows}


def text_of(row: Row) -> str:
    """Normalised, of the corpus's own text as it is read, where there is one."""
    return normalise(row.get("text_normalized") or row["text"]).text


def forbidden_sentences(data: Path) -> frozenset[str]:
    """All dev and test sentences of all corpora in the folder, normalised."""
    found: set[str] = set()
    for manifest in sorted(data.glob("*/manifest.jsonl")):
        for row in read_rows(manifest):
            if row["split"] in ("dev", "test"):
                found |= {text_of(row), normalise(row["text"]).text}
    return frozenset(found - {""})


def clips_of(corpus: Corpus, folder: Path, labels: Labels) -> Iterator[Row]:
    """Lines of the new manifest for all wanted clips of a corpus, but for their durations."""
    for row in read_rows(folder / corpus.name / "manifest.jsonl"):
        audio = folder / corpus.name / row["audio"]
        dev = corpus.dev and row["split"] == "dev"
        if not dev and row["split"] != corpus.train:
            continue
        if corpus.name == HALVED and dev and zlib.crc32(audio.name.encode()) % 2:
            continue
        if corpus.more and bool(row.get("heard")) != corpus.heard:
            continue
        text, weight = text_of(row), corpus.weight
        if corpus.heard:
            text, weight = labels.get(f"{corpus.name}/{audio.stem}", (text, 0.0))
        yield {
            "audio": str(audio.resolve()),
            "text": text,
            "split": "dev" if dev else "train",
            "speaker": str(row.get("speaker") or ""),
            "corpus": corpus.name,
            "weight": weight,
            "sentences": {text, text_of(row)},  # as either recogniser heard it
        }


def why_not(clip: Row, forbidden: frozenset[str]) -> str:
    """Why a clip is left out; "" if it is not. One without a duration could not be read."""
    if "duration" not in clip:
        return "unreadable"
    if clip["split"] == "dev":
        return ""
    if not clip["weight"]:
        return "heard differently by two recognisers"
    if not clip["text"]:
        return "no text"
    if not SECONDS[0] <= clip["duration"] <= SECONDS[1]:
        return f"not {SECONDS[0]:g} to {SECONDS[1]:g} s"
    return "a dev or test sentence" if clip["sentences"] & forbidden else ""


def measured(clip: Row) -> Row:
    """The clip with its duration, if it can be read."""
    try:
        audio = scan_audio(clip["audio"])
        return clip | {"duration": round(audio.level.samples / audio.rate, 4)}
    except InputError:
        return clip


def collect(data: Path, more: Path, labels: Labels) -> tuple[list[Row], Counter[tuple[str, str]]]:
    """Lines of the new manifest, and how many clips of a corpus were left out for what reason.

    InputError if a corpus is missing, or more than 1 % of the clips cannot be read.
    """
    for corpus in CORPORA:
        manifest = (more if corpus.more else data) / corpus.name / "manifest.jsonl"
        if not manifest.is_file():
            place = "MORE" if corpus.more else "DATA"
            raise InputError(f"{manifest}: no such manifest: {place} must hold it")
    forbidden = forbidden_sentences(data)
    listed = [clip for c in CORPORA for clip in clips_of(c, more if c.more else data, labels)]
    kept, left = [], Counter[tuple[str, str]]()
    what = f"measuring {len(listed)} clips"
    with ThreadPoolExecutor() as pool:
        for clip in track(pool.map(measured, listed), what, len(listed)):
            if reason := why_not(clip, forbidden):
                left[clip["corpus"], reason] += 1
                continue
            del clip["sentences"]
            kept.append(clip)
    unreadable = sum(count for (_, reason), count in left.items() if reason == "unreadable")
    if unreadable > MOST_UNREADABLE * len(listed):
        raise InputError(f"{unreadable} of {len(listed)} clips, more than 1 %, cannot be read")
    return kept, left


def report(clips: list[Row], left: Counter[tuple[str, str]]) -> None:
    """Prints clips and hours by corpus and split, and what was left out."""
    found: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    named = [(clip["corpus"], clip) for clip in clips] + [("all", clip) for clip in clips]
    for name, clip in named:
        sums = found[name, clip["split"]]
        for place, amount in enumerate((1, clip["duration"], clip["duration"] * clip["weight"])):
            sums[place] += amount
    for (name, split), (count, seconds, weighted) in found.items():
        hours = f"{seconds / 3600:.2f} h, {weighted / 3600:.2f} h by weight"
        click.echo(f"{name} {split}: {count:.0f} clips, {hours}")
    for (name, reason), count in sorted(left.items()):
        click.echo(f"left out of {name}: {count} clips ({reason})")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("more", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(data: Path, more: Path, out: Path) -> None:
    """Write OUT/manifest.jsonl and OUT/texts.txt of the corpora in DATA and MORE."""
    try:
        clips, left = collect(data, more, read_heard())
        texts = [clip["text"] for clip in clips if clip["split"] == "train"]
        lines = [json.dumps(clip, ensure_ascii=False) for clip in clips]
        write_whole(out / "texts.txt", "".join(f"{text}\n" for text in texts))
        write_whole(out / "manifest.jsonl", "".join(f"{line}\n" for line in lines))
        assert len(read_manifest(out / "manifest.jsonl")) == len(clips)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    report(clips, left)


if __name__ == "__main__":
    main()
