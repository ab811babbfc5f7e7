"""`ds2edge lm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.errors import InputError

HELD_OUT = 50  # every so many lines, one measures
MODELS = (".arpa", ".arpa.gz", ".ds2lm")  # how names of sources end that are no text


def _weights(
    context: click.Context, option: click.Parameter, given: str | None
) -> list[float] | None:
    if given is None:
        return None
    try:
        weights = [float(weight) for weight in given.split(",")]
    except ValueError:
        raise click.BadParameter(
            "not numbers with commas between them, as in 0.6,0.4", context, option
        ) from None
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
        raise click.BadParameter("weights are at least 0, and not all 0", context, option)
    return [weight / sum(weights) for weight in weights]


@click.group(short_help="Make language models and inspect them.")
def lm() -> None:
    """Language models: what `--lm` of `ds2edge transcribe`, `listen` and `evaluate` takes."""


@lm.command()
@click.argument(
    "sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE..."
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to make."
)
@click.option(
    "--order",
    default=3,
    show_default=True,
    type=click.IntRange(1, 5),
    help="Words in a row, at most, of a text.",
)
@click.option(
    "--prune",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Leave out word sequences that a text has so often or less: a smaller file.",
)
@click.option(
    "--mix",
    metavar="WEIGHT,WEIGHT...",
    callback=_weights,
    help="Make a model of each source, and mix them with these weights.",
)
@click.option(
    "--tune",
    metavar="TEXT",
    type=click.Path(path_type=Path),
    help="Mix them with the weights that predict this text best; no source may hold it.",
)
@click.option(
    "--size",
    metavar="MB",
    type=click.FloatRange(min=0, min_open=True),
    help="Leave out the word sequences that matter least until the file is no larger.",
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
    """Make a language model of each SOURCE: UTF-8 text with a sentence a line, as it would be said.

    Several texts count as one, unless they are mixed. What is mixed may also be a model: an ARPA
    file (.arpa, .arpa.gz) of KenLM, SRILM, Kaldi or the like, or a .ds2lm file.

    Of texts that count as one, every 50th line is left out once, to measure the perplexity on; the
    model that is kept is made of all.
    """
    if mix and tune:
        raise InputError("--mix gives the weights that --tune would find: give one of them")
    given = mix or tune
    model = _mixed(sources, order, prune, mix, tune) if given else _estimated(sources, order, prune)
    if size:
        from ds2edge.train.language_model.mixing import shrink

        try:
            model = shrink(model, size * 1e6)
        except InputError as error:
            raise InputError(f"--size {size:g}: {error}") from None
    _write(model, output)
    if tune:
        _report(model, _sentences([tune]), str(tune))
    elif not mix:
        _report_held_out(sources, order, prune)


@lm.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to make."
)
def convert(model: Path, output: Path) -> None:
    """Take over MODEL, an ARPA file (or .arpa.gz) of KenLM, SRILM, Kaldi or the like."""
    from ds2edge.train.language_model.arpa import read_arpa

    _write(read_arpa(model), output)


def _sentences(texts: Sequence[Path]) -> list[str]:
    from ds2edge.train.data.text import read_sentences

    sentences = [sentence for path in texts for sentence in read_sentences(path)]
    if not sentences:
        raise InputError(
            f"{texts[0]}: no word in it: a language model needs text, a sentence a line"
        )
    return sentences


def _estimated(texts: Sequence[Path], order: int, prune: int) -> LanguageModel:
    from ds2edge.train.language_model.ngrams import estimate

    for path in texts:
        if path.name.endswith(MODELS):
            raise InputError(f"{path}: a model, not a text: --mix or --tune says how far it counts")
    return estimate(_sentences(texts), order, prune)


def _mixed(
    sources: Sequence[Path], order: int, prune: int, weights: list[float] | None, text: Path | None
) -> LanguageModel:
    from ds2edge.train.language_model.mixing import mix, tune

    if weights and len(weights) != len(sources):
        raise InputError(
            f"--mix: {len(weights)} weights for {len(sources)} sources: give one for each"
        )
    sentences = _sentences([text]) if text else []
    models = [_read(source, order, prune) for source in sources]
    weights = weights or tune(models, sentences)
    for source, model, weight in zip(sources, models, weights, strict=True):
        click.echo(f"{source}: weight {weight:.3f}, {model.words:,} words")
    return mix(models, weights)


def _read(source: Path, order: int, prune: int) -> LanguageModel:
    from ds2edge.train.language_model.arpa import read_arpa

    if source.suffix == ".ds2lm":
        return LanguageModel.load(source)
    if source.name.endswith(MODELS):
        return read_arpa(source)
    return _estimated([source], order, prune)


def _report(model: LanguageModel, sentences: list[str], where: str) -> None:
    from ds2edge.train.language_model.ngrams import perplexity

    value, unknown = perplexity(model, sentences)
    click.echo(f"perplexity: {value:.1f} on {where}, {unknown:.2f} % unknown words")


def _report_held_out(texts: Sequence[Path], order: int, prune: int) -> None:
    from ds2edge.train.language_model.ngrams import estimate

    sentences = _sentences(texts)
    held_out = sentences[HELD_OUT - 1 :: HELD_OUT]
    if not held_out:
        click.echo(f"perplexity: not measured on fewer than {HELD_OUT} lines", err=True)
        return
    rest = [sentence for number, sentence in enumerate(sentences, 1) if number % HELD_OUT]
    _report(estimate(rest, order, prune), held_out, f"every {HELD_OUT}th line")


def _write(model: LanguageModel, output: Path) -> None:
    from ds2edge.train.files import write_whole

    content = model.to_bytes()
    write_whole(output, content)
    longer = ", ".join(f"{size:,} of {n} words" for n, size in enumerate(model.sizes[1:], 2))
    click.echo(
        f"{output}: {len(content) / 1e6:.2f} MB, {model.words:,} words"
        + (f"; {longer}" if longer else "")
    )
