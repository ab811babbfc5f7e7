"""A back-off n-gram model of words: which word follows which, in one small file that numpy alone reads."""

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

FORMAT = 1
UNKNOWN, START, END = 0, 1, 2  # ids of <unk>, <s> and </s>; words follow
SPECIAL = ("<unk>", "<s>", "</s>")
STEPS = 32  # in a nat: what a file keeps of a logarithm
AFTER = "\U0010ffff"  # sorts after every letter
# What zipfile and numpy raise of a broken file; a RuntimeError where it claims to be encrypted.
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Level:
    """All n-grams of one order, sorted by their word ids: one level of a trie (Heafield 2011, KenLM's trie).

    Each array has an element for each n-gram; `children` has one more.
    """

    words: Integers  # id of the last word; within the children of one n-gram they ascend
    log_probability: Floats  # natural logarithm of p(last word | the words before)
    back_off: Floats  # natural logarithm of the weight of shorter histories where this one, as a history, fails
    children: Integers  # the n-grams of the next order that begin with n-gram i: children[i] up to children[i + 1]


class LanguageModel:
    """p(word | up to order - 1 words before it), words as ids; the probabilities of all ids but <s> sum to 1."""

    def __init__(self, vocabulary: list[str], levels: list[Level]) -> None:
        """`vocabulary`: the word of each id, first `SPECIAL`, then sorted. `levels`: orders 1, 2 ..."""
        self.order = len(levels)
        self.vocabulary = vocabulary
        self.levels = levels
        self._ids = {word: index for index, word in enumerate(vocabulary)}
        # As memory views: numpy's own bisection takes several times as long on ranges as short as these.
        self._words = [np.ascontiguousarray(level.words, np.uint32).data for level in levels]
        self._children = [np.ascontiguousarray(level.children, np.uint32).data for level in levels]
        self._log_probability = [
            np.ascontiguousarray(level.log_probability, np.float32).data for level in levels
        ]
        self._back_off = [np.ascontiguousarray(level.back_off, np.float32).data for level in levels]

    @property
    def words(self) -> int:
        """Size of the vocabulary."""
        return len(self.vocabulary) - len(SPECIAL)

    @property
    def sizes(self) -> list[int]:
        """Number of n-grams of each order."""
        return [len(level.words) for level in self.levels]

    def id(self, word: str) -> int:
        """Of a word; `UNKNOWN` for one that is not in the vocabulary."""
        return self._ids.get(word, UNKNOWN)

    def log_probability(self, history: tuple[int, ...], word: int) -> float:
        """Natural logarithm of p(word | history); the last `order - 1` words of the history count (Katz 1987)."""
        weight = 0.0
        for first in range(max(0, len(history) - self.order + 1), len(history)):
            context = self._find(history[first:])
            if context is not None:
                found = self._child(len(history) - first, context, word)
                if found is not None:
                    return weight + float(self._log_probability[len(history) - first][found])
                weight += float(self._back_off[len(history) - first - 1][context])
        return weight + float(self._log_probability[0][word])

    def best_completion(self, prefix: str, history: tuple[int, ...] = ()) -> float | None:
        """What log p(word | history) is at most, of words that begin with `prefix`; None if none does."""
        known = self._known_by_prefix(prefix)
        if known is None:
            return None
        first, end, best = known
        for length in range(1, min(len(history), self.order - 1) + 1):
            context = self._find(history[-length:])
            if context is not None:
                best += self._back_off[length - 1][context]
                words, children = self._words[length], self._children[length - 1]
                low = bisect_left(words, first, children[context], children[context + 1])
                high = bisect_left(words, end, low, children[context + 1])
                if high > low:
                    best = max(best, float(self.levels[length].log_probability[low:high].max()))
        return best

    def _known_by_prefix(self, prefix: str) -> tuple[int, int, float] | None:
        """The ids of the words that begin so, from the first to before the last, and the highest log p(word)."""
        first = bisect_left(self.vocabulary, prefix, len(SPECIAL))
        end = bisect_left(self.vocabulary, prefix + AFTER, first)
        return (
            (first, end, float(self.levels[0].log_probability[first:end].max()))
            if end > first
            else None
        )

    def to_bytes(self) -> bytes:
        """The model as an .npz file: `format`, `vocabulary` (UTF-8, a word a line) and the arrays of each `Level`.

        Logarithms are rounded to 1/32, so that they pack well: p then errs by 1.6 % at most.
        """
        arrays: dict[str, Any] = {"format": np.uint8(FORMAT)}
        arrays["vocabulary"] = np.frombuffer("\n".join(self.vocabulary).encode(), np.uint8)
        for order, level in enumerate(self.levels, 1):
            arrays[f"words{order}"] = level.words.astype(np.min_scalar_type(len(self.vocabulary)))
            arrays[f"log_probability{order}"] = _rounded(level.log_probability)
            if order < self.order:
                arrays[f"back_off{order}"] = _rounded(level.back_off)
                # Numbers of children: small, so that they pack well.
                arrays[f"children{order}"] = np.diff(level.children).astype(np.uint32)
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LanguageModel:
        """Reads a file of `to_bytes`. InputError for anything else."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such language model: `ds2edge lm build` makes one")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if int(arrays["format"]) > FORMAT:
                    raise InputError(
                        f"{path}: this language model is of a newer ds2edge: upgrade it"
                    )
                vocabulary = arrays["vocabulary"].tobytes().decode().split("\n")
                order = sum(name.startswith("words") for name in arrays.files)
                levels = [_level(arrays, number, order) for number in range(1, order + 1)]
        except InputError:
            raise
        except BROKEN:
            raise InputError(
                f"{path}: cut short, or not a language model of `ds2edge lm build`"
            ) from None
        return cls(vocabulary, levels)

    def _find(self, words: tuple[int, ...]) -> int | None:
        """Index of an n-gram on its level; None if the model does not have it."""
        found: int | None = words[0]
        for level, word in enumerate(words[1:], 1):
            if found is None:
                return None
            found = self._child(level, found, word)
        return found

    def _child(self, level: int, parent: int, word: int) -> int | None:
        """Index on `level`, counted from 0, of what lengthens n-gram `parent` of the level before by `word`."""
        first, end = self._children[level - 1][parent], self._children[level - 1][parent + 1]
        index = bisect_left(self._words[level], word, first, end)
        return index if index < end and self._words[level][index] == word else None


def _rounded(logarithms: Floats) -> Floats:
    return (np.round(logarithms * STEPS) / STEPS).astype(np.float16)


def _level(arrays: Any, number: int, order: int) -> Level:
    words, log_probability = (
        arrays[f"words{number}"],
        arrays[f"log_probability{number}"].astype(np.float32),
    )
    if number == order:
        return Level(
            words,
            log_probability,
            np.zeros(len(words), np.float32),
            np.zeros(len(words) + 1, np.uint32),
        )
    children = np.cumsum(np.append(np.uint32(0), arrays[f"children{number}"]), dtype=np.uint32)
    return Level(words, log_probability, arrays[f"back_off{number}"].astype(np.float32), children)
