"""Options that several commands share: the model, its threads, the channel and the decoder."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.decoding.beam import BEAM, BeamDecoder
from ds2edge.runtime.decoding.ctc import DecoderFactory, GreedyDecoder
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import LANGUAGE_MODEL, PRETRAINED
from ds2edge.runtime.spelling import plain, words_of

WEIGHTS = Weights()
PUNCTUATION = re.compile(r"[-\u2010-\u2015.!?:;\"\u201c\u201d()]")


class ModelPath(click.Path):
    """The path of a model; the word `pretrained` stands for the bundled one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Returns the path. A file called `pretrained` goes before the bundled model."""
        path = Path(value)
        return PRETRAINED if path == Path("pretrained") and not path.exists() else path


model_option = click.option(
    "-m",
    "--model",
    default="pretrained",
    show_default=True,
    envvar="DS2EDGE_MODEL",
    show_envvar=True,
    metavar="FILE",
    type=ModelPath(),
    help="Model (.tflite) made by `ds2edge convert`, or `pretrained` for the bundled English one.",
)
channel_option = click.option(
    "--channel",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use only channel N, counted from 1. By default, all channels that have sound are mixed.",
)
threads_option = click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of CPU threads for the model.",
)


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the decoding options to a command, which gets a DecoderFactory as `decoder`."""

    @click.option(
        "--lm",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Language model made by `ds2edge lm build`, or `pretrained` for the bundled "
        "English one.",
    )
    @click.option(
        "--lm-weight",
        type=click.FloatRange(min=0),
        metavar="WEIGHT",
        help=f"Weight of the language model; {WEIGHTS.language_model} by default.",
    )
    @click.option(
        "--word-bonus",
        type=float,
        metavar="BONUS",
        help=f"Score added for each word, with --lm; {WEIGHTS.word} by default.",
    )
    @click.option(
        "--hotwords",
        multiple=True,
        callback=_parse_hotwords,
        metavar="WORDS",
        help="Words and phrases to favour, separated by commas, or @FILE with one per line. "
        "May be repeated.",
    )
    @click.option(
        "--beam",
        type=click.IntRange(1, 1000),
        metavar="N",
        help=f"Beam width of the search; {BEAM} by default with --lm or --hotwords. "
        "Without these three options, decoding is greedy.",
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
                raise InputError(f"{option} needs --lm: it applies to a language model")
        if beam is None and not hotwords:
            return GreedyDecoder
    if lm == Path("pretrained") and not lm.exists():
        lm = LANGUAGE_MODEL
    if lm:
        _refuse_arpa(lm)
    weights = Weights(
        language_model=WEIGHTS.language_model if lm_weight is None else lm_weight,
        word=WEIGHTS.word if word_bonus is None else word_bonus,
    )
    fusion = Fusion(LanguageModel.load(lm) if lm else None, hotwords, weights)
    return functools.partial(BeamDecoder, fusion=fusion, beam=beam or BEAM)


def _refuse_arpa(path: Path) -> None:
    """Raises InputError for a language model in ARPA format, which has to be converted first."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:  # loading the file will report it
        return
    if start.lstrip().startswith(b"\\data\\"):
        raise InputError(
            f"{path}: an ARPA file: `ds2edge lm convert {path} -o lm.ds2lm` converts it for --lm"
        )


def _parse_hotwords(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> list[str]:
    """Returns the phrases without duplicates, spelt with the letters of the model."""
    phrases: list[str] = []
    for value in values:
        phrases += _read_lines(Path(value[1:])) if value.startswith("@") else value.split(",")
    spelt = [" ".join(words_of(PUNCTUATION.sub(" ", plain(phrase)))) for phrase in phrases]
    if values and not any(spelt):
        raise click.BadParameter("no word in it", context, option)
    return list(dict.fromkeys(phrase for phrase in spelt if phrase))


def _read_lines(path: Path) -> list[str]:
    """Returns the lines of a text file. Raises InputError if it cannot be read."""
    try:
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
