"""`ds2edge synthesise`."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from pathlib import Path

import click

from ds2edge.runtime.errors import InputError

PATH = click.Path(path_type=Path)


def _list_voices(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints what is installed, with licences, and what installs the rest."""
    if not wanted:
        return
    from ds2edge.train.synthesis.voices import INSTALL, engine_of, installed_voices

    engines = defaultdict(list)
    for voice in installed_voices():
        engines[engine_of(voice)].append(voice)
    for engine, voices in engines.items():
        click.echo(f"{engine}: {voices[0].licence}")
        click.echo(f"  {' '.join(voice.name for voice in voices)}")
    for engine, command in INSTALL.items():
        if engine not in engines:
            click.echo(f"{engine}: not installed: {command}")
    ctx.exit()


def _get_kokoro(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from ds2edge.train.synthesis.kokoro import download_kokoro

    click.echo(f"{download_kokoro()}: Kokoro is complete")
    ctx.exit()


@click.command(short_help="Make speech from text files, by many voices.")
@click.argument("texts", nargs=-1, required=True, type=PATH)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=PATH,
    help="Output folder for the audio (Ogg Opus) and manifest.jsonl.",
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
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
    is_eager=True,
    expose_value=False,
    callback=_list_voices,
    help="List the voices and their licences, and what installs more, and exit.",
)
@click.option(
    "--get-kokoro",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_get_kokoro,
    help="Download the voices of Kokoro (90 MB) and exit.",
)
def synthesise(
    texts: tuple[Path, ...],
    folder: Path,
    hours: float | None,
    names: tuple[str, ...],
    split: str,
    seed: int,
) -> None:
    """Let synthetic voices say the sentences of TEXTS, for training or measuring.

    TEXTS are files with one sentence per line. Each clip is said by a voice drawn anew, with its
    own speed, pitch and vocal tract. Run the command again to continue after a stop, or with more
    hours to add clips.
    """
    from ds2edge.train.data.text import read_sentences
    from ds2edge.train.files import require_place_for
    from ds2edge.train.synthesis.job import synthesise as run_job
    from ds2edge.train.synthesis.line import Line
    from ds2edge.train.synthesis.voices import choose_voices

    require_place_for(folder)
    voices = choose_voices(names)
    sentences = chain.from_iterable(read_sentences(path) for path in texts)
    lines = [Line(sentence, split=split) for sentence in sentences]
    if not lines:
        raise InputError(f"{', '.join(map(str, texts))}: no sentence to say")
    run_job(lines, voices, folder, seed, hours)
