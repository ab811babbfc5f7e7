"""The options of `ds2edge transcribe`, `listen` and `evaluate` that choose a decoder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.decoding.beam import BEAM
from ds2edge.runtime.decoding.build import build_decoder, spell_phrase
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.fusion import Weights
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import PRETRAINED

model_option = click.option(
    "-m",
    "--model",
    default=PRETRAINED,
    show_default="the English one that comes with ds2edge",
    envvar="DS2EDGE_MODEL",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="A .tflite file made by `ds2edge convert`.",
)


WEIGHTS = Weights()


def _phrases(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """Phrases as the model spells them, each once: without accents, hyphens and full stops."""
    listed: list[str] = []
    for value in given:
        listed += _read_list(Path(value[1:])) if value.startswith("@") else value.split(",")
    phrases = [spell_phrase(phrase) for phrase in listed]
    if given and not any(phrases):
        raise click.BadParameter("no word in it", context, option)
    return list(dict.fromkeys(phrase for phrase in phrases if phrase))


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options, and their outcome as its argument `decoder`, a DecoderFactory."""

    @click.option(
        "--lm",
        type=click.Path(path_type=Path),
        help="Language model of `ds2edge lm build`, or `pretrained`: one of general English.",
    )
    @click.option(
        "--lm-weight",
        type=click.FloatRange(min=0),
        help=f"Of --lm.  [default: {WEIGHTS.language_model}]",
    )
    @click.option(
        "--word-bonus", type=float, help=f"For each word, with --lm.  [default: {WEIGHTS.word}]"
    )
    @click.option(
        "--hotwords",
        multiple=True,
        callback=_phrases,
        metavar="WORD[,WORD...]|@FILE",
        help="Words and phrases to expect, or a file with one a line; once or more.",
    )
    @click.option(
        "--beam",
        type=click.IntRange(1, 1000),
        help="Texts that a search pursues at once.  "
        f"[default: {BEAM} with --lm or --hotwords, otherwise none: greedy decoding]",
    )
    @functools.wraps(command)
    def with_decoder(
        *arguments: Any,
        lm: Path | None,
        lm_weight: float | None,
        word_bonus: float | None,
        hotwords: list[str],
        beam: int | None,
        **options: Any,
    ) -> None:
        decoder = _decoder(lm, lm_weight, word_bonus, hotwords, beam)
        command(*arguments, decoder=decoder, **options)

    return with_decoder


def _decoder(
    lm: Path | None,
    lm_weight: float | None,
    word_bonus: float | None,
    hotwords: list[str],
    beam: int | None,
) -> DecoderFactory:
    if lm is None:
        for option, value in (("--lm-weight", lm_weight), ("--word-bonus", word_bonus)):
            if value is not None:
                raise InputError(f"{option} needs --lm: the language model that it is for")
    weights = Weights(
        language_model=WEIGHTS.language_model if lm_weight is None else lm_weight,
        word=WEIGHTS.word if word_bonus is None else word_bonus,
    )
    return build_decoder(lm, hotwords, beam, weights)


def _read_list(path: Path) -> list[str]:
    """Phrases of a file, one a line. InputError if it cannot be read."""
    try:
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
