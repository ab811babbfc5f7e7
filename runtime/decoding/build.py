"""Makes a decoder from what a user chooses: a language model, hot words, the width of the beam."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ds2edge.runtime.decoding.beam import BEAM, BeamDecoder
from ds2edge.runtime.decoding.ctc import DecoderFactory
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import language_model_path
from ds2edge.runtime.spelling import plain, words_of

PUNCTUATION = re.compile(r"[-\u2010-\u2015.!?:;\"\u201c\u201d()]")


def build_decoder(
    language_model: LanguageModel | str | os.PathLike[str] | None = None,
    hotwords: Iterable[str] = (),
    beam: int | None = None,
    weights: Weights | None = None,
) -> DecoderFactory:
    """Returns the decoder for these choices: greedy without any, otherwise a beam search.

    `language_model`: a loaded model, a file made by `ds2edge lm build`, or "pretrained" for the
    one that comes with the kit. `hotwords`: words and phrases to expect. `beam`: the number of
    texts that the search keeps. `weights`: the weights of the language model and the hot words.

    InputError for a file that is no language model, a hot word without letters and a beam below 1;
    TypeError for an argument of another type.
    """
    if isinstance(hotwords, (str, bytes)):
        raise TypeError("hotwords must be a list of words and phrases, not one string")
    phrases = [_spell(phrase) for phrase in hotwords]
    if beam is not None and (isinstance(beam, bool) or not isinstance(beam, int)):
        raise TypeError(f"beam must be a whole number, not {beam!r}")
    if beam is not None and beam < 1:
        raise InputError(f"beam must be at least 1, not {beam}")
    if language_model is None and not phrases and beam is None:
        return GreedyDecoder
    if language_model is not None and not isinstance(language_model, LanguageModel):
        language_model = load_language_model(language_model)
    fusion = Fusion(language_model, dict.fromkeys(phrases), weights or Weights())
    return functools.partial(BeamDecoder, fusion=fusion, beam=beam or BEAM)


def load_language_model(path: str | os.PathLike[str]) -> LanguageModel:
    """Loads a language model; `pretrained` names the one that comes with the kit.

    InputError if the file is missing or no language model of `ds2edge lm build`.
    """
    path = language_model_path(path)
    if _is_arpa(path):
        raise InputError(
            f"{path}: an ARPA file: `ds2edge lm convert {path} -o lm.ds2lm` converts it"
        )
    return LanguageModel.load(path)


def spell_phrase(phrase: str) -> str:
    """A phrase as a model spells it: lower case, without accents, hyphens and punctuation.

    Empty if it has no letter.
    """
    return " ".join(words_of(PUNCTUATION.sub(" ", plain(phrase))))


def _spell(phrase: object) -> str:
    if not isinstance(phrase, str):
        raise TypeError(f"a hot word must be a string, not {phrase!r}")
    spelled = spell_phrase(phrase)
    if not spelled:
        raise InputError(f"hot word {phrase!r} has no letter")
    return spelled


def _is_arpa(path: Path) -> bool:
    """Whether a file is a language model in the text format, which is converted before use."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith(b"\\data\\")
    except OSError:  # loading the file names the problem
        return False
