"""Spells the phrases of a file with the letters of a model."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.spelling import plain

REMEDY = "pip install '.[phrases]' in the checkout of ds2edge"
MOST_NUMBER = 10**15
_OTHER = re.compile(r"[^\w']+")


class Speller:
    """Spells text as a model does: lower case, no punctuation, numbers in words."""

    def __init__(self, source: str, says: Mapping[str, str]) -> None:
        """`source`: the file, for messages. `says`: words that are said in another way."""
        self._source = source
        self._says = {word.lower(): said for word, said in says.items()}
        self.letters: dict[str, str] = {}  # each letter, and where it comes first

    def spell(self, text: str, line: int) -> str:
        """Spells a whole phrase. InputError if no letter is left."""
        spelled = self.chunk(text, line).strip()
        if not spelled:
            raise InputError(f"{self._source}:{line}: nothing of '{text.strip()}' can be said")
        return spelled

    def chunk(self, text: str, line: int) -> str:
        """Spells a part of a phrase. A space at either end stays."""
        for word, said in self._says.items():
            pattern = rf"(?<!\w){re.escape(word)}(?!\w)"
            # A backslash in a replacement has a meaning of its own.
            literal = said.replace("\\", r"\\")
            text = re.sub(pattern, literal, text, flags=re.IGNORECASE)
        text = re.sub(r"\d+", lambda found: f" {self.number(int(found[0]), line)} ", text)
        spelled = _OTHER.sub(" ", plain(text)).replace("_", " ")
        for letter in spelled:
            self.letters.setdefault(letter, f"{self._source}:{line}")
        return spelled

    def number(self, number: int, line: int) -> str:
        """Spells a number in English words.

        InputError if the number is too large, or unicode-rbnf is not installed.
        """
        if number > MOST_NUMBER:
            raise InputError(f"{self._source}:{line}: a number above {MOST_NUMBER:g}: use words")
        try:
            engine = _number_words()
        except ModuleNotFoundError:
            raise InputError(
                f"{self._source}:{line}: write {number} in words, or {REMEDY}"
            ) from None
        words = str(engine.format_number(number).text)
        return words.replace("-", " ")


@functools.cache
def _number_words() -> Any:
    from unicode_rbnf import RbnfEngine

    return RbnfEngine.for_language("en")
