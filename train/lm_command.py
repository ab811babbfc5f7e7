"""`ds2edge lm`."""

from __future__ import annotations

from pathlib import Path

import click

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.language_model import LanguageModel

HELD_OUT = 50  # every so many lines, one measures


@click.group()
def lm() -> None:
    """Language models: what `--lm` of `ds2edge transcribe`, `listen` and `evaluate` takes."""


@lm.command()
@click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TEXT...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to make.")
@click.option("--order", default=3, show_default=True, type=click.IntRange(1, 5), help="Words in a row, at most.")
@click.option("--prune", default=0, show_default=True, type=click.IntRange(min=0),
              help="Leave out word sequences that were counted so often or less: a smaller file.")  # fmt: skip
def build(texts: tuple[Path, ...], output: Path, order: int, prune: int) -> None:
    """Make a language model of TEXT: UTF-8 files with a sentence a line, as it would be said.

    Every 50th line is left out once, to measure the perplexity on; the model that is kept is made of all.
    """
    from ds2edge.train.ngrams import estimate, perplexity
    from ds2edge.train.text import read_sentences

    sentences = [sentence for path in texts for sentence in read_sentences(path)]
    if not sentences:
        raise InputError(f"{texts[0]}: no word in it: a language model needs text, a sentence a line")
    _write(estimate(sentences, order, prune), output)
    held_out = sentences[HELD_OUT - 1 :: HELD_OUT]
    if not held_out:
        click.echo(f"perplexity: not measured on fewer than {HELD_OUT} lines", err=True)
        return
    rest = [sentence for number, sentence in enumerate(sentences, 1) if number % HELD_OUT]
    value, unknown = perplexity(estimate(rest, order, prune), held_out)
    click.echo(f"perplexity: {value:.1f} on every {HELD_OUT}th line, {unknown:.2f} % unknown words")


@lm.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to make.")
def convert(model: Path, output: Path) -> None:
    """Take over MODEL, an ARPA file (or .arpa.gz) of KenLM, SRILM or the like."""
    from ds2edge.train.arpa import read_arpa

    _write(read_arpa(model), output)


def _write(model: LanguageModel, output: Path) -> None:
    from ds2edge.train.files import write_whole

    content = model.to_bytes()
    write_whole(output, content)
    longer = ", ".join(f"{size:,} of {n} words" for n, size in enumerate(model.sizes[1:], 2))
    click.echo(f"{output}: {len(content) / 1e6:.2f} MB, {model.words:,} words" + (f"; {longer}" if longer else ""))
