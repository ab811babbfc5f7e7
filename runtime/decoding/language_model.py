"""A back-off n-gram model of words (Katz 1987), in one small file that numpy alone can read."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import refuse_zip_bomb

FORMAT = 1
# Ids of <unk>, <s> and </s>. All other words follow.
UNKNOWN = 0
START = 1
END = 2
SPECIAL = ("<unk>", "<s>", "</s>")
STEPS_PER_NAT = 32  # resolution of the logarithms in a file
LAST_LETTER = "\U0010ffff"  # sorts after all letters
# What zipfile and numpy raise for a broken file. RuntimeError: it claims to be encrypted.
BROKEN_FILE_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Level:
    """All n-grams of one order, sorted by their word ids: a level of a trie (Heafield 2011, KenLM).

    Each array has one element per n-gram; `children` has one more.
    """

    # Id of the last word. Ascends within the children of one n-gram.
    words: Integers
    # log p(last word | the words before)
    log_probability: Floats
    # Log back-off weight of this n-gram as a history.
    back_off: Floats
    # Of the n-grams of the next order, children[i] to children[i + 1] begin with n-gram i.
    children: Integers


class LanguageModel:
    """Gives p(word | up to order - 1 words before it). Words are ids, logarithms are natural.

    The probabilities of all ids except <s> sum to 1.
    """

    def __init__(self, vocabulary: list[str], levels: list[Level]) -> None:
        """`vocabulary`: the word of each id. `SPECIAL` comes first, then the others, sorted.

        `levels`: one for each order, from 1 up.
        """
        self.order = len(levels)
        self.vocabulary = vocabulary
        self.levels = levels
        self._ids = {word: index for index, word in enumerate(vocabulary)}
        # Memory views, since numpy's own bisection is several times slower on such short ranges.
        self._words = [np.ascontiguousarray(level.words, np.uint32).data for level in levels]
        self._children = [np.ascontiguousarray(level.children, np.uint32).data for level in levels]
        self._log_probability = [
            np.ascontiguousarray(level.log_probability, np.float32).data for level in levels
        ]
        self._back_off = [np.ascontiguousarray(level.back_off, np.float32).data for level in levels]

    @property
    def word_count(self) -> int:
        """Size of the vocabulary, without <unk>, <s> and </s>."""
        return len(self.vocabulary) - len(SPECIAL)

    @property
    def ngram_counts(self) -> list[int]:
        """Number of n-grams of each order."""
        return [len(level.words) for level in self.levels]

    def id(self, word: str) -> int:
        """The id of a word, or `UNKNOWN` if the vocabulary lacks it."""
        return self._ids.get(word, UNKNOWN)

    def log_probability(self, history: tuple[int, ...], word: int) -> float:
        """log p(word | history). Only the last `order - 1` words of the history count."""
        back_off = 0.0
        for first in range(max(0, len(history) - self.order + 1), len(history)):
            context = self._find(history[first:])
            if context is not None:
                length = len(history) - first
                ngram = self._child(length, context, word)
                if ngram is not None:
                    return back_off + float(self._log_probability[length][ngram])
                back_off += float(self._back_off[length - 1][context])
        return back_off + float(self._log_probability[0][word])

    def best_completion(self, prefix: str, history: tuple[int, ...] = ()) -> float | None:
        """An upper bound of log p(word | history) over all words that begin with `prefix`.

        None if no word does.
        """
        candidates = self._words_with(prefix)
        if candidates is None:
            return None
        first, end, best = candidates
        for length in range(1, min(len(history), self.order - 1) + 1):
            context = self._find(history[-length:])
            if context is not None:
                best += self._back_off[length - 1][context]
                words = self._words[length]
                children = self._children[length - 1]
                low = bisect_left(words, first, children[context], children[context + 1])
                high = bisect_left(words, end, low, children[context + 1])
                if high > low:
                    best = max(best, float(self.levels[length].log_probability[low:high].max()))
        return best

    def _words_with(self, prefix: str) -> tuple[int, int, float] | None:
        """Of the words with a prefix: the first id, the last id + 1 and the highest log p(word)."""
        first = bisect_left(self.vocabulary, prefix, len(SPECIAL))
        end = bisect_left(self.vocabulary, prefix + LAST_LETTER, first)
        if end == first:
            return None
        return first, end, float(self.levels[0].log_probability[first:end].max())

    def to_bytes(self) -> bytes:
        """The model as an .npz file.

        It holds `format`, `vocabulary` (UTF-8, one word a line) and the arrays of each `Level`, but
        for each n-gram its number of children. Logarithms are rounded to 1/32, so that they
        compress well. The error in p is at most 1.6 %.
        """
        arrays: dict[str, Any] = {"format": np.uint8(FORMAT)}
        arrays["vocabulary"] = np.frombuffer("\n".join(self.vocabulary).encode(), np.uint8)
        for order, level in enumerate(self.levels, 1):
            arrays[f"words{order}"] = level.words.astype(np.min_scalar_type(len(self.vocabulary)))
            arrays[f"log_probability{order}"] = _rounded(level.log_probability)
            if order < self.order:
                arrays[f"back_off{order}"] = _rounded(level.back_off)
                # The numbers of children are small and so compress well.
                arrays[f"children{order}"] = np.diff(level.children).astype(np.uint32)
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LanguageModel:
        """Reads a file of `to_bytes`. InputError for anything else."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such language model; make one with `ds2edge lm build`")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                refuse_zip_bomb(arrays.zip)
                if int(arrays["format"]) > FORMAT:
                    raise InputError(
                        f"{path}: this language model needs a newer version of ds2edge"
                    )
                vocabulary = arrays["vocabulary"].tobytes().decode().split("\n")
                order = sum(name.startswith("words") for name in arrays.files)
                levels = [_read_level(arrays, number, order) for number in range(1, order + 1)]
        except InputError:
            raise
        except BROKEN_FILE_ERRORS:
            raise InputError(
                f"{path}: cut short, or not a language model of `ds2edge lm build`"
            ) from None
        return cls(vocabulary, levels)

    def _find(self, words: tuple[int, ...]) -> int | None:
        """The index of an n-gram on its level, or None if the model lacks it."""
        index: int | None = words[0]
        for level, word in enumerate(words[1:], 1):
            if index is None:
                return None
            index = self._child(level, index, word)
        return index

    def _child(self, level: int, parent: int, word: int) -> int | None:
        """The index, on `level`, of n-gram `parent` of the level before, extended by `word`.

        Levels count from 0. None if the model lacks it.
        """
        children = self._children[level - 1]
        words = self._words[level]
        end = children[parent + 1]
        index = bisect_left(words, word, children[parent], end)
        return index if index < end and words[index] == word else None


def _rounded(logarithms: Floats) -> Floats:
    return (np.round(logarithms * STEPS_PER_NAT) / STEPS_PER_NAT).astype(np.float16)


def _read_level(arrays: Any, number: int, order: int) -> Level:
    """Level `number`, from 1 to `order`, of an .npz file. The last one has no children."""
    words = arrays[f"words{number}"]
    if number == order:
        back_off = np.zeros(len(words), np.float32)
        children = np.zeros(len(words) + 1, np.uint32)
    else:
        back_off = arrays[f"back_off{number}"].astype(np.float32)
        counts = arrays[f"children{number}"]
        children = np.cumsum(np.append(np.uint32(0), counts), dtype=np.uint32)
    return Level(words, arrays[f"log_probability{number}"].astype(np.float32), back_off, children)
