"""The options of `ds2edge transcribe`, `listen` and `evaluate` that choose a decoder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.beam import BEAM, BeamDecoder
from ds2edge.runtime.ctc import DecoderFactory, GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.fusion import Fusion, Weights
from ds2edge.runtime.language_model import LanguageModel
from ds2edge.runtime.pretrained import LANGUAGE_MODEL

WEIGHTS = Weights()


def _phrases(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[str]:
    phrases = [" ".join(phrase.lower().split()) for value in given for phrase in value.split(",")]
    if not all(phrases):
        raise click.BadParameter("no word before, after or between its commas", context, option)
    return phrases


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options, and their outcome as its argument `decoder`, a DecoderFactory."""

    @click.option("--lm", type=click.Path(path_type=Path),
                  help="Language model of `ds2edge lm build`, or `pretrained`: one of general English.")  # fmt: skip
    @click.option("--lm-weight", type=click.FloatRange(min=0), help=f"Of --lm.  [default: {WEIGHTS.language_model}]")
    @click.option("--word-bonus", type=float, help=f"For each word, with --lm.  [default: {WEIGHTS.word}]")
    @click.option("--hotwords", multiple=True, callback=_phrases, metavar="WORD[,WORD...]",
                  help="Words and phrases to expect; once or more.")  # fmt: skip
    @click.option("--beam", type=click.IntRange(1, 1000),
                  help="Texts that a search pursues at once.  "
                       f"[default: {BEAM} with --lm or --hotwords, otherwise none: greedy decoding]")  # fmt: skip
    @functools.wraps(command)
    def with_decoder(*arguments: Any, lm: Path | None, lm_weight: float | None, word_bonus: float | None,
                     hotwords: list[str], beam: int | None, **options: Any) -> None:  # fmt: skip
        decoder = _decoder(lm, lm_weight, word_bonus, hotwords, beam)
        command(*arguments, decoder=decoder, **options)

    return with_decoder


def _decoder(
    lm: Path | None, lm_weight: float | None, word_bonus: float | None, hotwords: list[str], beam: int | None
) -> DecoderFactory:
    if lm is None:
        for option, value in (("--lm-weight", lm_weight), ("--word-bonus", word_bonus)):
            if value is not None:
                raise InputError(f"{option} needs --lm: the language model that it is for")
        if beam is None and not hotwords:
            return GreedyDecoder
    if lm == Path("pretrained") and not lm.exists():
        lm = LANGUAGE_MODEL
    weights = Weights(
        language_model=WEIGHTS.language_model if lm_weight is None else lm_weight,
        word=WEIGHTS.word if word_bonus is None else word_bonus,
    )
    fusion = Fusion(LanguageModel.load(lm) if lm else None, hotwords, weights)
    return functools.partial(BeamDecoder, fusion=fusion, beam=beam or BEAM)
