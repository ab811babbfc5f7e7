"""Letters as a model knows them, from whatever people type: the half of the normaliser that needs no library."""

from __future__ import annotations

import re
import unicodedata

# What keyboards, telephones and word processors put where an apostrophe is meant.
APOSTROPHES = dict.fromkeys(
    map(ord, "\u2019\u2018\u02bc\u02b9\u2032\u00b4`\uff07\u201b\ua78c"), "'"
)
# Letters that Unicode does not take apart.
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
    """Lower case, without accents and strokes; all kinds of apostrophe are one. Other characters stay."""
    folded = unicodedata.normalize("NFKD", text.translate(APOSTROPHES).translate(LETTERS).lower())
    return "".join(_without_stroke(c) for c in folded if not unicodedata.combining(c)).translate(
        APOSTROPHES
    )


def words_of(text: str) -> list[str]:
    """The words of a plain text: an apostrophe is a letter inside a word and a quotation mark around one."""
    return [word for word in (word.strip("'") for word in text.split()) if word]


def _without_stroke(character: str) -> str:
    if character.isascii():
        return character
    match = _NAMED.match(unicodedata.name(character, ""))
    return match[1].lower() if match else character
