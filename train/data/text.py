"""The one text normaliser of the kit, and the letters that it leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.spelling import APOSTROPHES, plain, words_of
from ds2edge.train.data.spoken import spoken
from ds2edge.train.progress import open_tracked

# Symbol of each logit of a model that says letters. The blank comes first (keras.ops.ctc_loss: mask_index 0).
LETTERS = ("", " ", *"abcdefghijklmnopqrstuvwxyz", "'")
_KEPT = frozenset(LETTERS)


@dataclass(frozen=True)
class Normalised:
    """Text of letters alone, and how often each character was dropped on the way (white space not counted)."""

    text: str
    dropped: Counter[str]


def normalise(text: str) -> Normalised:
    """Lower case, a-z, apostrophe and single spaces; numbers as one says them in English, accents taken off their
    letters.

    All other characters become spaces and are counted in `dropped`; the result may be empty.
    """
    letters = plain(spoken(text.translate(APOSTROPHES)))
    dropped = Counter(c for c in letters if c not in _KEPT and not c.isspace())
    kept = "".join(c if c in _KEPT else " " for c in letters)
    return Normalised(" ".join(words_of(kept)), dropped)


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
