"""`ds2edge evaluate`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from ds2edge.runtime.commands.options import ModelPath, decoding_options
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.train.data.manifest import SPLITS


def _decibels(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> list[float]:
    """The levels in dB of all `values`, each of which is a list separated by commas."""
    levels: list[float] = []
    for value in values:
        try:
            levels += [float(level) for level in value.split(",")]
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is not a number of dB, nor several separated by commas", context, option
            ) from None
        if not all(map(math.isfinite, levels)):
            raise click.BadParameter(f"{value!r} holds a level that is not finite", context, option)
    return levels


@click.command(short_help="Measure the word error rate of a model.")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--model",
    default="pretrained",
    show_default=True,
    envvar="DS2EDGE_MODEL",
    show_envvar=True,
    metavar="MODEL",
    type=ModelPath(),
    help="Model: a .tflite file, the folder of a run (its best epoch), a .keras file in such a "
    "folder, or `pretrained`.",
)
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(SPLITS),
    help="Split of the manifests to transcribe.",
)
@click.option(
    "--noise-snr",
    "snrs",
    multiple=True,
    callback=_decibels,
    metavar="dB[,dB...]",
    help="Evaluate with added noise too, at these signal-to-noise ratios in dB. Repeatable.",
)
@click.option(
    "--noise",
    type=click.Path(),
    help="Folder of sound files to mix in. Without it, coloured noise is synthesised.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for evaluation.html, evaluation.md and evaluation.json.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON with the same figures and the texts of every clip.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of the interpreter of a .tflite file.  [default: 1]",
)
@click.option(
    "--max-wer",
    type=float,
    help="Highest WER in percent, without added noise. Above it, the exit code is 1.",
)
@decoding_options
def evaluate(
    manifests: tuple[Path, ...],
    model: Path,
    split: str,
    snrs: list[float],
    noise: str | None,
    output: Path | None,
    as_json: bool,
    threads: int | None,
    max_wer: float | None,
    decoder: DecoderFactory,
) -> None:
    """Measure the error rates of a model on the clips of MANIFESTS.

    The result has word and character error rates by speaker, length and noise, and the most
    frequent mistakes.
    """
    if noise and not snrs:
        raise InputError(f"--noise {noise} needs --noise-snr, the level of the noise")
    from ds2edge.train.evaluation.evaluate import evaluate as run_evaluation
    from ds2edge.train.files import make_folder

    if output:
        make_folder(output)
    result = run_evaluation(model, manifests, split, snrs, noise, threads, decoder)
    # The reports need matplotlib, which bad input should not wait for.
    from ds2edge.train.evaluation.report import markdown, to_json, write_report

    click.echo(to_json(result) if as_json else markdown(result), nl=False)
    if output:
        write_report(result, output)
    if max_wer is not None and result.overall.wer > max_wer:
        raise QualityCheckFailed(
            f"{model}: WER {result.overall.wer:.2f} % is more than --max-wer {max_wer:g}"
        )
