"""The text normaliser: letters, apostrophes and single spaces, from whatever a transcript holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.spelling import APOSTROPHES, plain, words_of
from ds2edge.train.data.spoken import spoken
from ds2edge.train.progress import open_tracked

# The symbol of each logit of a model that spells in letters. The blank comes first:
# keras.ops.ctc_loss expects it at index 0 (`mask_index`).
LETTERS = ("", " ", *"abcdefghijklmnopqrstuvwxyz", "'")
_ALLOWED = frozenset(LETTERS)


@dataclass(frozen=True)
class Normalised:
    """A normalised text, and how often each character was dropped. White space is not counted."""

    text: str
    dropped: Counter[str]


def normalise(text: str) -> Normalised:
    """Reduces a text to a-z, apostrophes and single spaces.

    Numbers become English words, and letters lose their accents. Other characters become spaces
    and are counted in `dropped`. The result may be empty.
    """
    letters = plain(spoken(text.translate(APOSTROPHES)))
    dropped = Counter(c for c in letters if c not in _ALLOWED and not c.isspace())
    allowed = "".join(c if c in _ALLOWED else " " for c in letters)
    return Normalised(" ".join(words_of(allowed)), dropped)


def normalise_clip(audio: Path, text: str) -> str:
    """The normalised text of a clip. InputError, with the clip, if no letter is left of it."""
    normalised = normalise(text).text
    if not normalised:
        raise InputError(f"{audio}: no letter is left of its text {text!r}")
    return normalised


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, normalised. Lines of which nothing is left are skipped.

    InputError if the file cannot be read or is not UTF-8.
    """
    try:
        with open_tracked(path, f"reading {path.name}") as file:
            for line in file:
                sentence = normalise(line.decode()).text
                if sentence:
                    yield sentence
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text: convert it, for example with iconv") from None
