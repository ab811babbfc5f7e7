"""`ds2edge synthesise`."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from pathlib import Path

import click

from ds2edge.runtime.commands.options import POSITIVE
from ds2edge.runtime.errors import InputError

PATH = click.Path(path_type=Path)


@click.command(short_help="Make speech from text files, by many voices.")
@click.argument("texts", nargs=-1, type=PATH)
@click.option(
    "-o",
    "--output",
    "folder",
    type=PATH,
    help="Output folder for the audio (Ogg Opus) and manifest.jsonl.",
)
@click.option(
    "--hours",
    type=POSITIVE,
    help="Say the sentences again and again until there are so many hours of speech.  [default: "
    "each once]",
)
@click.option(
    "--voice",
    "names",
    multiple=True,
    metavar="NAME",
    help="Voice to use, or engine, which stands for all its voices. Repeat the option for several."
    "  [default: all that are installed]",
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    type=click.Choice(["train", "dev", "test"]),
    help="Split of the clips.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
@click.option(
    "--list-voices",
    is_flag=True,
    help="Only list the voices with their licences, and what installs more.",
)
@click.option("--get-kokoro", is_flag=True, help="Only download the voices of Kokoro (90 MB).")
def synthesise(
    texts: tuple[Path, ...],
    folder: Path | None,
    hours: float | None,
    names: tuple[str, ...],
    split: str,
    seed: int,
    list_voices: bool,
    get_kokoro: bool,
) -> None:
    """Let synthetic voices say the sentences of TEXTS, for training or measuring.

    TEXTS are files with one sentence per line. Each clip is said by a voice drawn anew, with its
    own speed, pitch and vocal tract. Run the command again to continue after a stop, or with more
    hours to add clips.
    """
    if get_kokoro:
        from ds2edge.train.synthesis.kokoro import download_kokoro

        click.echo(f"{download_kokoro()}: the voices of Kokoro are complete")
    if list_voices:
        _list_voices()
    if get_kokoro or list_voices:
        return
    if not texts:
        raise click.UsageError("no text is given: name a file with one sentence per line")
    if not folder:
        raise click.UsageError("no output folder is given: name it with -o")
    _say(texts, folder, hours, names, split, seed)


def _list_voices() -> None:
    """Prints what is installed, with licences, and what installs the rest."""
    from ds2edge.train.synthesis.voices import INSTALL, engine_of, installed_voices

    engines = defaultdict(list)
    for voice in installed_voices():
        engines[engine_of(voice.name)].append(voice)
    for engine, voices in engines.items():
        click.echo(f"{engine}: {voices[0].licence}")
        click.echo(f"  {' '.join(voice.name for voice in voices)}")
    for engine, command in INSTALL.items():
        if engine not in engines:
            click.echo(f"{engine}: not installed: {command}")


def _say(
    texts: tuple[Path, ...],
    folder: Path,
    hours: float | None,
    names: tuple[str, ...],
    split: str,
    seed: int,
) -> None:
    from ds2edge.train.data.text import read_sentences
    from ds2edge.train.files import make_folder
    from ds2edge.train.synthesis.job import synthesise as run_job
    from ds2edge.train.synthesis.line import Line
    from ds2edge.train.synthesis.voices import choose_voices

    make_folder(folder)  # before the texts are read
    voices = choose_voices(names)
    sentences = chain.from_iterable(read_sentences(path) for path in texts)
    lines = [Line(sentence, split=split) for sentence in sentences]
    if not lines:
        raise InputError(f"{', '.join(map(str, texts))}: no sentence to say")
    run_job(lines, voices, folder, seed, hours)
