"""Reads n-gram models in ARPA's text format, as KenLM, SRILM, Kaldi and others write it."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.language_model import SPECIAL, START, UNKNOWN, LanguageModel, Level
from ds2edge.runtime.errors import InputError
from ds2edge.train.progress import open_tracked

Section = list[
    tuple[list[str], float, float]
]  # words, log10 of their probability and of their back-off weight

KENLM = b"mmap lm http://kheafield.com/code"  # how a binary of its build_binary begins
GZIP = b"\x1f\x8b"


def read_arpa(path: Path) -> LanguageModel:
    """The model of a file, gzipped or not; words in lower case. InputError if it is none.

    A model without <unk> gets one, as probable as its rarest word. An n-gram whose beginning the file
    lacks is left out, as Kaldi does.
    """
    try:
        with open_tracked(path, f"reading {path.name}") as file:
            begins = file.read(len(KENLM))
            file.seek(0)
            if begins == KENLM:
                raise InputError(
                    f"{path}: a binary of KenLM: give the ARPA file that it was made from"
                )
            return _model(_sections(gzip.GzipFile(fileobj=file) if begins[:2] == GZIP else file))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except InputError:
        raise
    except (ValueError, IndexError, KeyError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole ARPA file ({error})") from None


def _sections(lines: Iterable[bytes]) -> list[Section]:
    """The n-grams of each order. ValueError, with the number of the line, for one that is none."""
    sections: list[Section] = []
    words: set[str] = set()
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            # Space and tab alone: words may hold what else Unicode calls a space.
            fields = [
                field
                for field in re.split("[ \t]", line.decode().lower().strip(" \t\r\n"))
                if field
            ]
            if fields == [f"\\{len(sections) + 1}-grams:"]:
                sections.append([])
            elif fields == ["\\end\\"] and sections:
                return sections
            elif fields and sections:
                sections[-1].append(_ngram(fields, len(sections), words))
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: not UTF-8 text") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    raise ValueError(f"line {number}: no \\end\\ after n-grams")


def _ngram(fields: list[str], order: int, words: set[str]) -> tuple[list[str], float, float]:
    """A line's words, and log10 of probability and back-off weight; `words`: those of the 1-grams, which it adds to."""
    if not order < len(fields) <= order + 2:
        raise ValueError(
            f"{len(fields)} fields where a {order}-gram has {order + 1} or {order + 2}"
        )
    ngram, probability = fields[1 : 1 + order], float(fields[0])
    back_off = float(fields[1 + order]) if len(fields) > 1 + order else 0.0
    if not probability <= 0:
        raise ValueError(f"the logarithm of a probability is {fields[0]}, which is above 0")
    if not math.isfinite(probability) or not math.isfinite(back_off):
        raise ValueError("a number that is infinite or none")
    if order == 1:
        if ngram[0] in words:
            raise ValueError(f"'{ngram[0]}' is there twice: some words differ by case alone")
        words.add(ngram[0])
    for word in ngram:
        if word not in words and word != SPECIAL[START]:
            raise ValueError(f"'{word}' is no 1-gram of the file")
    return ngram, probability, back_off


def _model(sections: list[Section]) -> LanguageModel:
    unigrams = {word: (p, weight) for (word,), p, weight in sections[0]}
    rarest = min((p for word, (p, _) in unigrams.items() if word not in SPECIAL), default=-99.0)
    start = unigrams.get(
        SPECIAL[START], (-99.0, 0.0)
    )  # some tools leave it out: no sentence is begun twice
    unigrams = {SPECIAL[UNKNOWN]: (rarest, 0.0), **unigrams, SPECIAL[START]: (-99.0, start[1])}
    vocabulary = [*SPECIAL, *sorted(set(unigrams) - set(SPECIAL))]
    ids = {word: index for index, word in enumerate(vocabulary)}
    sections[0] = [([word], *unigrams[word]) for word in vocabulary]

    keys: list[
        npt.NDArray[np.int64]
    ] = []  # of each order, sorted: index of the n-gram without its last word, and that
    levels: list[Level] = []
    for section in sections:
        rows = np.array([[ids[word] for word in words] for words, _, _ in section], np.int64)
        rows = rows.reshape(-1, len(levels) + 1)
        found, begun = np.zeros(len(rows), np.int64), np.ones(len(rows), np.bool_)
        for column, known in zip(rows.T, [*keys, None], strict=True):
            key = found * len(vocabulary) + column
            if known is not None:
                found = np.minimum(np.searchsorted(known, key), len(known) - 1)
                begun &= known[found] == key
        order = np.flatnonzero(begun)[np.argsort(key[begun])]
        keys.append(key[order])
        values = np.array([values for _, *values in section]).reshape(-1, 2)
        logarithms = values[order].T * math.log(10)
        if levels:
            children = np.searchsorted(
                keys[-1] // len(vocabulary), np.arange(len(levels[-1].words) + 1)
            )
            levels[-1] = Level(
                levels[-1].words, levels[-1].log_probability, levels[-1].back_off, children
            )
        levels.append(Level(rows[order, -1], *logarithms, np.zeros(len(rows) + 1, np.int64)))
    return LanguageModel(vocabulary, levels)
