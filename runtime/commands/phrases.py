"""`ds2edge phrases`: compiles phrases for a device."""

from __future__ import annotations

from pathlib import Path

import click

from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.commands.output import require_writable
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.false_accepts import confidences, least_confidence, upper_bound
from ds2edge.runtime.model_file import network_checksum
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE
from ds2edge.runtime.phrases.embedded import embed
from ds2edge.runtime.phrases.phrases import SUFFIX, Phrases
from ds2edge.runtime.recognizer import Recognizer

MODEL_SUFFIX = ".tflite"


@click.group(short_help="Compile phrases for a device.")
def phrases() -> None:
    """Compile phrases for the option --phrases, or into a model."""


@phrases.command("compile")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Output file: the phrases (.ds2ph), or a copy of the model with the phrases inside "
    "(.tflite).",
)
@model_option
@click.option(
    "--other-speech",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Sound file, or folder of sound files, in which no phrase is said. Sets the least "
    "confidence that the model needs. May be repeated.",
)
@click.option(
    "--reject-at",
    "per_hour",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Allow at most N false accepts an hour in --other-speech; 0 by default.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="P",
    help=f"Reject phrases of less confidence; {MIN_CONFIDENCE} by default.",
)
def compile_phrases(
    file: Path,
    output: Path,
    model: Path,
    other_speech: tuple[Path, ...],
    per_hour: float | None,
    min_confidence: float | None,
) -> None:
    """Compile FILE, so that a device needs neither hassil nor the time to read templates.

    FILE is a YAML file of templates, a text file of one phrase per line, or a compiled file. With
    an output that ends in .tflite, the phrases and their least confidence are inside a copy of the
    model: that one file is then enough.
    """
    if output.suffix not in (SUFFIX, MODEL_SUFFIX):
        raise InputError(f"{output}: must end in {SUFFIX} or {MODEL_SUFFIX}")
    if per_hour is not None and not other_speech:
        raise InputError("--reject-at needs --other-speech: recordings to count false accepts in")
    if min_confidence is not None and other_speech:
        raise InputError("--min-confidence and --other-speech both set the confidence: give one")
    require_writable(output)
    loaded = Phrases.load(file, min_confidence)
    if other_speech:
        _calibrate(loaded, model, other_speech, per_hour or 0.0)
    if output.suffix == MODEL_SUFFIX:
        embed(model, loaded, output)
    else:
        loaded.save(output)
    letters = loaded.letters
    click.echo(
        f"{output}: {len(letters.final):,} states, {len(letters.sources):,} arcs, "
        f"{len(letters.labels)} different letters"
    )


def _calibrate(phrases: Phrases, model: Path, paths: tuple[Path, ...], per_hour: float) -> None:
    files = expand_folders(paths)
    phrases.reject_below(0.0)
    found, hours = confidences(Recognizer(model, phrases=phrases), files)
    if not hours:
        raise InputError(f"{paths[0]}: has no sound: give recordings of other speech")
    least = least_confidence(found, int(per_hour * hours))
    phrases.reject_below(least, network_checksum(model))
    accepted = sum(confidence >= least for confidence in found)
    click.echo(
        f"least confidence {least:g}: {accepted} false accepts in {hours:.2f} h; "
        f"95 % upper bound {upper_bound(accepted, hours):.2f} an hour"
    )
