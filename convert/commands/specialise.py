"""`ds2edge specialise`: from a list of phrases to a model that recognises them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ds2edge.runtime.commands.options import POSITIVE
from ds2edge.runtime.files import read_text


@click.command(short_help="Make a model for your own phrases, from text alone.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="Output folder for model.tflite and report.html.",
)
@click.option(
    "--hours",
    default=4.0,
    show_default=True,
    type=POSITIVE,
    help="Hours of synthetic speech to train on.",
)
@click.option(
    "--epochs",
    default=8,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of times that the training uses this speech.",
)
@click.option(
    "--voice",
    "voices",
    multiple=True,
    metavar="NAME",
    help="Voice to use, or engine, which stands for all its voices. Repeat the option for several."
    "  [default: all that are installed]",
)
@click.option(
    "--noise",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of sound files with noise, to train and test with. By default, noise is "
    "synthesised.",
)
@click.option(
    "--other-speech",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    help="Sound file, or folder of sound files, in which no phrase is said. Half of the files set "
    "the threshold, the others count false accepts. May be repeated.",
)
@click.option(
    "--reject-at",
    "false_accepts",
    default=0.5,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="N",
    help="Allow at most N false accepts an hour.",
)
@click.option(
    "--recordings",
    metavar="MANIFEST",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Manifest of recordings of the phrases by people, to measure with.",
)
@click.option(
    "--init-from",
    metavar="RUN",
    default="pretrained",
    show_default=True,
    help="Run of `ds2edge train` whose weights the training starts from.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
def specialise(
    file: Path,
    output: Path,
    hours: float,
    epochs: int,
    voices: tuple[str, ...],
    noise: Path | None,
    other_speech: tuple[Path, ...],
    false_accepts: float,
    recordings: Path | None,
    init_from: str,
    seed: int,
) -> None:
    """Make a model that recognises the phrases in FILE, from any speaker.

    FILE is a text file of one phrase per line, or a YAML file of templates. Synthetic voices say
    the phrases, sentences that sound alike, and other sentences. The pretrained model is trained on
    this speech, converted to int8, and measured with voices that were kept apart.

    Run an interrupted command again: it goes on where it stopped. The other options keep their
    values; --other-speech, --reject-at and --recordings may change.
    """
    from ds2edge.convert.specialise.folder import Checks, Settings, absolute
    from ds2edge.convert.specialise.report import commands
    from ds2edge.convert.specialise.specialise import specialise as run

    settings = Settings(
        hours=hours,
        epochs=epochs,
        seed=seed,
        init_from=init_from if init_from == "pretrained" else absolute(init_from),
        noise=absolute(noise) if noise else None,
        voices=voices,
    )
    checks = Checks(
        false_accepts=false_accepts,
        other_speech=tuple(map(absolute, other_speech)),
        recordings=absolute(recordings) if recordings else None,
    )
    folder = run(file, output, settings, checks)
    click.echo(_summary(json.loads(read_text(folder.figures))))
    click.echo(f"report: {folder.report}")
    for purpose, line in commands(folder).items():
        click.echo(f"{purpose}: {line}")


def _summary(figures: dict[str, object]) -> str:
    """The main figures of a report on a line each."""
    noise = figures["by_noise"]
    false_accepts = figures["false_accepts"]
    assert isinstance(noise, list)
    assert isinstance(false_accepts, list)
    lines = [
        f"{rates['name']}: {rates['understood']:.1f} % of {rates['clips']} clips understood, "
        f"{rates['misunderstood']:.1f} % misunderstood"
        for rates in noise
    ]
    lines += [
        f"{row['source']}: {row['accepted']} false accepts in {row['hours']:.2f} h; "
        f"95 % upper bound {row['bound']:.2f} an hour"
        for row in false_accepts
    ]
    return "\n".join(lines)
