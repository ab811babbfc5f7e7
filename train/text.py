"""The one text normaliser of the kit, and the letters that it leaves."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import num2words

from ds2edge.runtime.errors import InputError
from ds2edge.train.progress import open_tracked

# Symbol of each logit of a model that says letters. The blank comes first (keras.ops.ctc_loss: mask_index 0).
LETTERS = ("", " ", *"abcdefghijklmnopqrstuvwxyz", "'")
_KEPT = frozenset(LETTERS)

# 1,234 or 3.5 or 21st; a sign or a currency stays outside and is dropped with the rest.
_NUMBER = re.compile(r"(?P<digits>\d+(?:,\d{3})+(?!\d)|\d+)(?:(?P<ordinal>st|nd|rd|th)\b|(?P<fraction>\.\d+))?", re.I)
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'"})
_LONGEST_NUMBER = 15  # digits; anything longer is a code, read digit by digit


@dataclass(frozen=True)
class Normalised:
    """Text of letters alone, and how often each character was dropped on the way (white space not counted)."""

    text: str
    dropped: Counter[str]


def normalise(text: str) -> Normalised:
    """Lower case, a-z, apostrophe and single spaces; numbers spelled out in English, accents taken off their letters.

    All other characters become spaces and are counted in `dropped`; the result may be empty.
    """
    spelled = _NUMBER.sub(_spell, text.translate(_APOSTROPHES))
    decomposed = unicodedata.normalize("NFKD", spelled.lower())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    dropped = Counter(c for c in letters if c not in _KEPT and not c.isspace())
    kept = "".join(c if c in _KEPT else " " for c in letters)
    # An apostrophe is a letter inside a word and a quotation mark around one.
    words = (word.strip("'") for word in kept.split())
    return Normalised(" ".join(word for word in words if word), dropped)


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, normalised, without those that are empty then. InputError if it is none."""
    try:
        with open_tracked(path, f"reading {path.name}") as file:
            for line in file:
                sentence = normalise(line.decode()).text
                if sentence:
                    yield sentence
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text: convert it, with iconv say") from None


def _spell(match: re.Match[str]) -> str:
    digits = match["digits"].replace(",", "")
    if len(digits) > _LONGEST_NUMBER or (digits.startswith("0") and len(digits) > 1):
        words = " ".join(num2words.num2words(int(digit)) for digit in digits)
    else:
        words = num2words.num2words(int(digits), to="ordinal" if match["ordinal"] else "cardinal")
    if match["fraction"]:
        words += " point " + " ".join(num2words.num2words(int(digit)) for digit in match["fraction"][1:])
    return f" {words} ".replace("-", " ").replace(",", " ")
