"""Reduces typed text to the letters of a model; the part of the text normaliser without numbers."""

from __future__ import annotations

import re
import unicodedata

# Characters that keyboards, telephones and word processors put in place of an apostrophe.
APOSTROPHES = dict.fromkeys(
    map(ord, "\u2019\u2018\u02bc\u02b9\u2032\u00b4`\uff07\u201b\ua78c"), "'"
)
# Letters that Unicode does not decompose.
LETTERS = str.maketrans(
    {
        "\u00df": "ss",
        "\u1e9e": "SS",
        "\u00e6": "ae",
        "\u00c6": "AE",
        "\u0153": "oe",
        "\u0152": "OE",
        "\u00fe": "th",
        "\u00de": "TH",
        "\u00f0": "d",
        "\u00d0": "D",
        "\u0131": "i",
        "\u014b": "ng",
        "\u014a": "NG",
        "\u0259": "e",
    }
)
_NAMED = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER ([A-Z]) WITH ")


def plain(text: str) -> str:
    """Lower case without accents and strokes, with one kind of apostrophe.

    Other characters are unchanged.
    """
    folded = unicodedata.normalize("NFKD", text.translate(APOSTROPHES).translate(LETTERS).lower())
    letters = (_without_stroke(c) for c in folded if not unicodedata.combining(c))
    return "".join(letters).translate(APOSTROPHES)


def words_of(text: str) -> list[str]:
    """The words of a plain text. Apostrophes around a word are quotation marks and are dropped."""
    return [word for word in (word.strip("'") for word in text.split()) if word]


def _without_stroke(character: str) -> str:
    if character.isascii():
        return character
    match = _NAMED.match(unicodedata.name(character, ""))
    return match[1].lower() if match else character
