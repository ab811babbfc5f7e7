"""`ds2edge evaluate`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from ds2edge.runtime.commands.options import decoding_options
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.train.data.manifest import SPLITS


class _Decibels(click.ParamType):
    """One or more levels with commas between them."""

    name = "dB[,dB...]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        try:
            levels = tuple(float(level) for level in str(value).split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not a number of dB, or several with commas between them", param, ctx
            )
        if not all(map(math.isfinite, levels)):
            self.fail(f"{value!r} holds a level that is not finite", param, ctx)
        return levels


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(SPLITS),
    help="Of the manifests.",
)
@click.option(
    "--noise-snr",
    "levels",
    multiple=True,
    type=_Decibels(),
    help="Also with noise, at these signal-to-noise ratios; once or more.",
)
@click.option(
    "--noise",
    type=click.Path(),
    help="Folder of sounds to mix in; without it, coloured noise is synthesised.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Folder for evaluation.html, .md and .json."
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: the same figures, and every clip with its texts.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of the interpreter of a .tflite file.  [default: 1]",
)
@click.option(
    "--max-wer", type=float, help="Percent: exit code 1 if the WER without added noise is past it."
)
@decoding_options
def evaluate(
    model: Path,
    manifests: tuple[Path, ...],
    split: str,
    levels: tuple[tuple[float, ...], ...],
    noise: str | None,
    report: Path | None,
    as_json: bool,
    threads: int | None,
    max_wer: float | None,
    decoder: DecoderFactory,
) -> None:
    """Measure how well MODEL hears MANIFESTS: error rates by speaker, length and noise, and its commonest mistakes.

    MODEL is a .tflite file, the folder of a run (its best epoch counts), or a .keras file in one.
    """
    from ds2edge.train.evaluation.evaluate import evaluate as run_evaluation
    from ds2edge.train.evaluation.report import markdown, to_json, write_report
    from ds2edge.train.files import make_folder

    if noise and not levels:
        raise InputError(f"--noise {noise} needs --noise-snr: how loud it is to be")
    if report:
        make_folder(report)
    snrs = [level for given in levels for level in given]
    result = run_evaluation(model, manifests, split, snrs, noise, threads, decoder)
    click.echo(to_json(result) if as_json else markdown(result), nl=False)
    if report:
        write_report(result, report)
    if max_wer is not None and result.overall.wer > max_wer:
        raise QualityCheckFailed(
            f"{model}: WER {result.overall.wer:.2f} % is more than --max-wer {max_wer:g}"
        )
