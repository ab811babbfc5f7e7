"""Options that several commands share: model, threads, channel, endpoint rules and decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.commands.option_group import option_group
from ds2edge.runtime.decoding.beam import BEAM
from ds2edge.runtime.decoding.build import build_decoder, spell_phrase
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.fusion import Weights
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE
from ds2edge.runtime.phrases.embedded import choose_phrases
from ds2edge.runtime.pretrained import model_path

WEIGHTS = Weights()
RULES = EndpointRules()
POSITIVE = click.FloatRange(min=0, min_open=True)


class ModelPath(click.Path):
    """The path of a model; the word `pretrained` stands for the bundled one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Returns the path. A file with the name `pretrained` takes precedence."""
        return model_path(value)


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

endpoint_options = option_group(
    "rules",
    EndpointRules,
    click.option(
        "--end-silence",
        "silence",
        default=RULES.silence,
        show_default=True,
        type=POSITIVE,
        metavar="SECONDS",
        help="End an utterance after this much silence.",
    ),
    click.option(
        "--end-length",
        "length",
        default=RULES.length,
        show_default=True,
        type=click.FloatRange(1, 600),
        metavar="SECONDS",
        help="End an utterance of this length at the next word boundary.",
    ),
    click.option(
        "--end-idle",
        "idle",
        default=RULES.idle,
        show_default=True,
        type=POSITIVE,
        metavar="SECONDS",
        help="Discard an utterance that has no word after this much time.",
    ),
)


def _decoder(
    model: Path,
    lm: Path | None,
    lm_weight: float | None,
    word_bonus: float | None,
    hotwords: list[str],
    beam: int | None,
    phrases: Path | None,
    min_confidence: float | None,
) -> DecoderFactory:
    if lm is None:
        for option, value in (("--lm-weight", lm_weight), ("--word-bonus", word_bonus)):
            if value is not None:
                raise InputError(f"{option} needs --lm: it applies to a language model")
    weights = Weights(
        language_model=WEIGHTS.language_model if lm_weight is None else lm_weight,
        word_bonus=WEIGHTS.word_bonus if word_bonus is None else word_bonus,
    )
    free_text = build_decoder(lm, hotwords, beam, weights)
    chosen = choose_phrases(phrases, model, min_confidence)
    if chosen is None:
        if min_confidence is not None:
            raise InputError("--min-confidence needs --phrases: it rejects other speech")
        return free_text
    others = lm is not None or hotwords or beam is not None
    return chosen.with_free_text(free_text) if others else chosen


def _parse_hotwords(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> list[str]:
    """Returns the phrases without duplicates, spelt with the letters of the model."""
    phrases: list[str] = []
    for value in values:
        phrases += (
            read_text(Path(value[1:])).splitlines() if value.startswith("@") else value.split(",")
        )
    spelt = [spell_phrase(phrase) for phrase in phrases]
    if values and not any(spelt):
        raise click.BadParameter("no word in it", context, option)
    return list(dict.fromkeys(phrase for phrase in spelt if phrase))


decoding_options = option_group(
    "decoder",
    _decoder,
    click.option(
        "--lm",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Language model made by `ds2edge lm build`, or `pretrained` for the bundled "
        "English one.",
    ),
    click.option(
        "--lm-weight",
        type=click.FloatRange(min=0),
        metavar="WEIGHT",
        help=f"Weight of the language model; {WEIGHTS.language_model} by default.",
    ),
    click.option(
        "--word-bonus",
        type=float,
        metavar="BONUS",
        help=f"Score added for each word, with --lm; {WEIGHTS.word_bonus} by default.",
    ),
    click.option(
        "--hotwords",
        multiple=True,
        callback=_parse_hotwords,
        metavar="WORDS",
        help="Words and phrases to favour, separated by commas, or @FILE with one per line. "
        "May be repeated.",
    ),
    click.option(
        "--beam",
        type=click.IntRange(1, 1000),
        metavar="N",
        help=f"Beam width of the search; {BEAM} by default with --lm or --hotwords. "
        "Without these three options, decoding is greedy.",
    ),
    click.option(
        "--phrases",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="All that may be said: a text file of one phrase per line, a YAML file of templates, "
        "or a file made by `ds2edge phrases compile`. Other speech is rejected. By default, the "
        "phrases inside the model, if it has any; `none` switches them off.",
    ),
    click.option(
        "--min-confidence",
        type=click.FloatRange(0, 1),
        metavar="P",
        help="Reject phrases of less confidence. By default, the value in the file made by "
        f"`ds2edge phrases compile`, or inside the model; {MIN_CONFIDENCE} with other files.",
    ),
)
