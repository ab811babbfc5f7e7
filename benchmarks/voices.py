"""How much speech each installed engine makes in an hour of CPU time.

    python benchmarks/voices.py SENTENCES.txt -o spoken [--engine flite ...]
    ds2edge evaluate spoken/flite/manifest.jsonl --split test -m pretrained -o report

SENTENCES holds one sentence per line. All voices of an engine say them, in this process and the
programs that it starts, into a folder of the engine's name in the folder `spoken`. Prints one JSON
object per engine. Loading the first voice does not count, writing the clips does.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import click

from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.data.text import read_sentences
from ds2edge.train.synthesis.job import synthesise
from ds2edge.train.synthesis.line import Line
from ds2edge.train.synthesis.voices import choose_voices, engine_of

PATH = click.Path(path_type=Path)


def cpu_seconds() -> float:
    """CPU time of this process and of the programs that it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@click.command()
@click.argument("sentences", type=PATH)
@click.option("-o", "--output", "folder", type=PATH, required=True, help="Output folder.")
@click.option("--engine", "names", multiple=True, help="Engine; all by default.")
def main(sentences: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Measure the engines of speech synthesis."""
    lines = [Line(sentence, split="test") for sentence in read_sentences(sentences)]
    installed = choose_voices(names)
    for engine in sorted({engine_of(voice.name) for voice in installed}):
        voices = [voice for voice in installed if engine_of(voice.name) == engine]
        voices[0].say("warm up", random.Random(1))
        start = cpu_seconds()
        manifest = synthesise(lines, voices, folder / engine, processes=1)
        spent = cpu_seconds() - start
        spoken = sum(clip.duration for clip in read_manifest(manifest))
        result = {
            "engine": engine,
            "voices": len(voices),
            "seconds of speech": round(spoken, 1),
            "CPU seconds": round(spent, 1),
            "ratio": round(spoken / spent, 2),
        }
        click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
