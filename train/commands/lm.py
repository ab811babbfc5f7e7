"""The command `ds2edge lm`: makes language models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click

from ds2edge.runtime.commands.output import require_writable
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.errors import InputError

HELD_OUT = 50  # one line in this many is held out to measure the perplexity
MODEL_SUFFIXES = (".arpa", ".arpa.gz", ".ds2lm")  # all other sources are text

output_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Output file (.ds2lm)."
)


def _weights(
    context: click.Context, option: click.Parameter, value: str | None
) -> list[float] | None:
    """The numbers of `--mix`, scaled so that they sum to 1."""
    if value is None:
        return None
    try:
        weights = [float(weight) for weight in value.split(",")]
    except ValueError:
        raise click.BadParameter(
            "give numbers with commas between them, as in 0.6,0.4", context, option
        ) from None
    if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
        raise click.BadParameter(
            "weights must be at least 0, and one must be above 0", context, option
        )
    return [weight / sum(weights) for weight in weights]


@click.group(short_help="Make language models.")
def lm() -> None:
    """Make a language model for the option --lm."""


@lm.command()
@click.argument(
    "sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE..."
)
@output_option
@click.option(
    "--order",
    default=3,
    show_default=True,
    type=click.IntRange(1, 5),
    help="Maximum n-gram order.",
)
@click.option(
    "--prune",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Drop n-grams of two or more words that occur this many times or fewer.",
)
@click.option(
    "--mix",
    metavar="WEIGHT,WEIGHT...",
    callback=_weights,
    help="Make one model of each SOURCE and mix them with these weights.",
)
@click.option(
    "--tune",
    metavar="TEXT",
    type=click.Path(path_type=Path),
    help="Mix the models with the weights that predict this text best. "
    "The text must not be part of a SOURCE.",
)
@click.option(
    "--size",
    metavar="MB",
    type=click.FloatRange(min=0, min_open=True),
    help="Maximum file size in MB. The least useful n-grams are dropped.",
)
def build(
    sources: tuple[Path, ...],
    output: Path,
    order: int,
    prune: int,
    mix: list[float] | None,
    tune: Path | None,
    size: float | None,
) -> None:
    """Make a language model from text.

    A SOURCE is a UTF-8 text file with one sentence per line. All texts are joined, unless --mix or
    --tune is given. Then a SOURCE may also be a model: a .ds2lm file, or an ARPA file (.arpa or
    .arpa.gz) of KenLM, SRILM, Kaldi or another tool.

    The command prints a perplexity. With --tune it is measured on that text. If the texts are
    joined, it is measured on every 50th line, with a model of the other lines. The output file
    holds a model of all lines.
    """
    if mix and tune:
        raise InputError("--mix and --tune exclude each other: --tune finds the weights itself")
    require_writable(output, "lm.ds2lm")
    if mix or tune:
        model = _mixed(sources, order, prune, mix, tune)
    else:
        model = _estimated(sources, order, prune)
    if size:
        model = _shrunk(model, size)
    _write(model, output)
    if tune:
        _report_perplexity(model, _sentences([tune]), str(tune))
    elif not mix:
        _report_held_out(sources, order, prune)


@lm.command()
@click.argument("model", type=click.Path(path_type=Path))
@output_option
def convert(model: Path, output: Path) -> None:
    """Convert a language model in ARPA format.

    MODEL is a .arpa or .arpa.gz file of KenLM, SRILM, Kaldi or another tool.
    """
    from ds2edge.train.language_model.arpa import read_arpa

    require_writable(output, "lm.ds2lm")
    _write(read_arpa(model), output)


def _sentences(texts: Sequence[Path]) -> list[str]:
    from ds2edge.train.data.text import read_sentences

    sentences = [sentence for path in texts for sentence in read_sentences(path)]
    if not sentences:
        raise InputError(f"{texts[0]}: no word in it; give text with one sentence per line")
    return sentences


def _estimated(texts: Sequence[Path], order: int, prune: int) -> LanguageModel:
    """One model of all texts."""
    from ds2edge.train.language_model.ngrams import estimate

    for path in texts:
        if path.name.endswith(MODEL_SUFFIXES):
            raise InputError(f"{path}: a model, not a text; mix models with --mix or --tune")
    return estimate(_sentences(texts), order, prune)


def _mixed(
    sources: Sequence[Path], order: int, prune: int, weights: list[float] | None, text: Path | None
) -> LanguageModel:
    """A mix of the models of all sources, with `weights` or those that predict `text` best."""
    from ds2edge.train.language_model.mixing import mix, tune

    if weights and len(weights) != len(sources):
        raise InputError(
            f"--mix: {len(weights)} weights for {len(sources)} sources; give one for each"
        )
    sentences = _sentences([text]) if text else []
    models = [_read(source, order, prune) for source in sources]
    weights = weights or tune(models, sentences)
    for source, model, weight in zip(sources, models, weights, strict=True):
        click.echo(f"{source}: weight {weight:.3f}, {model.word_count:,} words")
    return mix(models, weights)


def _read(source: Path, order: int, prune: int) -> LanguageModel:
    from ds2edge.train.language_model.arpa import read_arpa

    if source.suffix == ".ds2lm":
        return LanguageModel.load(source)
    if source.name.endswith(MODEL_SUFFIXES):
        return read_arpa(source)
    return _estimated([source], order, prune)


def _shrunk(model: LanguageModel, megabytes: float) -> LanguageModel:
    from ds2edge.train.language_model.pruning import shrink

    try:
        return shrink(model, megabytes * 1e6)
    except InputError as error:
        raise InputError(f"--size {megabytes:g}: {error}") from None


def _report_perplexity(model: LanguageModel, sentences: list[str], source: str) -> None:
    from ds2edge.train.language_model.ngrams import perplexity

    value, unknown_percent = perplexity(model, sentences)
    click.echo(f"perplexity: {value:.1f} on {source}, {unknown_percent:.2f} % unknown words")


def _report_held_out(texts: Sequence[Path], order: int, prune: int) -> None:
    """Prints the perplexity on held-out lines of a model of all other lines."""
    from ds2edge.train.language_model.ngrams import estimate

    sentences = _sentences(texts)
    held_out = sentences[HELD_OUT - 1 :: HELD_OUT]
    if not held_out:
        click.echo(f"perplexity: not measured on fewer than {HELD_OUT} lines", err=True)
        return
    rest = [sentence for number, sentence in enumerate(sentences, 1) if number % HELD_OUT]
    _report_perplexity(estimate(rest, order, prune), held_out, f"every {HELD_OUT}th line")


def _write(model: LanguageModel, output: Path) -> None:
    from ds2edge.runtime.files import write_whole

    content = model.to_bytes()
    write_whole(output, content)
    parts = [f"{output}: {len(content) / 1e6:.2f} MB, {model.word_count:,} words"]
    parts += [f"{count:,} {n}-grams" for n, count in enumerate(model.ngram_counts[1:], 2)]
    click.echo(", ".join(parts))
