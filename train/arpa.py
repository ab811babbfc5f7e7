"""Reads n-gram models in ARPA's text format, as KenLM, SRILM, Kaldi and others write it."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.language_model import SPECIAL, START, UNKNOWN, LanguageModel, Level
from ds2edge.train.progress import open_tracked

Section = list[tuple[list[str], float, float]]  # words, log10 of their probability and of their back-off weight


def read_arpa(path: Path) -> LanguageModel:
    """The model of a file, gzipped if its name ends in .gz; words in lower case. InputError if it is none.

    A model without <unk> gets one, as probable as its rarest word. An n-gram whose beginning the file
    lacks is left out, as Kaldi does.
    """
    try:
        with open_tracked(path, f"reading {path.name}") as file:
            lines = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            return _model(_sections(line.decode().lower().split() for line in lines))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, IndexError, KeyError, EOFError) as error:
        raise InputError(f"{path}: not a whole ARPA file ({error})") from None


def _sections(lines: Iterable[list[str]]) -> list[Section]:
    sections: list[Section] = []
    for line in lines:
        if line == [f"\\{len(sections) + 1}-grams:"]:
            sections.append([])
        elif line == ["\\end\\"] and sections:
            return sections
        elif line and sections:
            words = line[1 : 1 + len(sections)]
            sections[-1].append(
                (words, float(line[0]), float(line[1 + len(sections)]) if line[1 + len(words) :] else 0)
            )
    raise ValueError("no \\end\\ after n-grams")


def _model(sections: list[Section]) -> LanguageModel:
    unigrams = {word: (p, weight) for (word,), p, weight in sections[0]}
    if len(unigrams) < len(sections[0]):
        raise ValueError("some words differ by case alone")
    rarest = min(p for word, (p, _) in unigrams.items() if word not in SPECIAL)
    unigrams = {SPECIAL[UNKNOWN]: (rarest, 0), **unigrams, SPECIAL[START]: (-99.0, unigrams[SPECIAL[START]][1])}
    vocabulary = [*SPECIAL, *sorted(set(unigrams) - set(SPECIAL))]
    ids = {word: index for index, word in enumerate(vocabulary)}
    sections[0] = [([word], *unigrams[word]) for word in vocabulary]

    keys: list[npt.NDArray[np.int64]] = []  # of each order, sorted: index of the n-gram without its last word, and that
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
            children = np.searchsorted(keys[-1] // len(vocabulary), np.arange(len(levels[-1].words) + 1))
            levels[-1] = Level(levels[-1].words, levels[-1].log_probability, levels[-1].back_off, children)
        levels.append(Level(rows[order, -1], *logarithms, np.zeros(len(rows) + 1, np.int64)))
    return LanguageModel(vocabulary, levels)
