"""Reads n-gram models in the ARPA text format of KenLM, SRILM, Kaldi and other tools."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ds2edge.runtime.decoding.language_model import SPECIAL, START, UNKNOWN, LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.table import NgramTable
from ds2edge.train.progress import open_tracked

KENLM = b"mmap lm http://kheafield.com/code"  # first bytes of a binary of KenLM's build_binary
GZIP = b"\x1f\x8b"
NEVER = -99.0  # log10 of the probability of <s>, by custom


class Ngram(NamedTuple):
    """One line of an ARPA file."""

    words: list[str]
    log10_p: float
    log10_back_off: float


def read_arpa(path: Path) -> LanguageModel:
    """Reads an ARPA file, gzipped or not. Words become lower case.

    If <unk> is missing, it gets the probability of the rarest word. An n-gram is left out if the
    file lacks the n-gram without its last word, as in Kaldi. InputError for any other file.
    """
    try:
        with open_tracked(path, f"reading {path.name}") as file:
            first_bytes = file.read(len(KENLM))
            file.seek(0)
            if first_bytes == KENLM:
                raise InputError(
                    f"{path}: a binary of KenLM; give the ARPA file that it was made from"
                )
            zipped = first_bytes.startswith(GZIP)
            return _model(_read_sections(gzip.GzipFile(fileobj=file) if zipped else file))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except InputError:
        raise
    except (ValueError, IndexError, KeyError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole ARPA file ({error})") from None


def _read_sections(lines: Iterable[bytes]) -> list[list[Ngram]]:
    """The n-grams of each order. ValueError names the number of a line that is wrong."""
    sections: list[list[Ngram]] = []
    vocabulary: set[str] = set()
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            fields = _split_fields(line)
            if fields == [f"\\{len(sections) + 1}-grams:"]:
                sections.append([])
            elif fields == ["\\end\\"] and sections:
                return sections
            elif fields and sections:
                sections[-1].append(_parse_ngram(fields, len(sections), vocabulary))
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: not UTF-8 text") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    raise ValueError(f"line {number}: no \\end\\ after n-grams")


def _split_fields(line: bytes) -> list[str]:
    """The fields of a line. Only spaces and tabs divide them: a word may hold other white space."""
    return [field for field in re.split("[ \t]", line.decode().lower().strip(" \t\r\n")) if field]


def _parse_ngram(fields: list[str], order: int, vocabulary: set[str]) -> Ngram:
    """The n-gram of a line. A 1-gram is added to `vocabulary`, other n-grams must be in it."""
    if not order < len(fields) <= order + 2:
        raise ValueError(
            f"{len(fields)} fields where a {order}-gram has {order + 1} or {order + 2}"
        )
    words = fields[1 : 1 + order]
    log10_p = float(fields[0])
    log10_back_off = float(fields[1 + order]) if len(fields) > 1 + order else 0.0
    if not log10_p <= 0:
        raise ValueError(f"the logarithm of a probability is {fields[0]}, which is above 0")
    if not math.isfinite(log10_p) or not math.isfinite(log10_back_off):
        raise ValueError("a number is infinite or not a number")
    if order == 1:
        if words[0] in vocabulary:
            raise ValueError(f"'{words[0]}' is there twice: some words differ only in case")
        vocabulary.add(words[0])
    for word in words:
        if word not in vocabulary and word != SPECIAL[START]:
            raise ValueError(f"'{word}' is no 1-gram of the file")
    return Ngram(words, log10_p, log10_back_off)


def _model(sections: list[list[Ngram]]) -> LanguageModel:
    unigrams = _complete_unigrams(sections[0])
    vocabulary = [ngram.words[0] for ngram in unigrams]
    ids = {word: index for index, word in enumerate(vocabulary)}
    table = NgramTable(len(vocabulary))
    for order, ngrams in enumerate([unigrams, *sections[1:]], 1):
        rows = np.array([[ids[word] for word in ngram.words] for ngram in ngrams], np.int64)
        rows = rows.reshape(-1, order)
        parents = np.zeros(len(rows), np.int64)
        known = np.ones(len(rows), np.bool_)
        if order > 1:
            parents, known = table.find(rows[:, :-1])
        keys = parents * table.words + rows[:, -1]
        chosen = np.flatnonzero(known)[np.argsort(keys[known])]
        log_p = math.log(10) * np.array([ngram.log10_p for ngram in ngrams])
        back_off = math.log(10) * np.array([ngram.log10_back_off for ngram in ngrams])
        table.append(keys[chosen], log_p[chosen], back_off[chosen])
    return table.to_model(vocabulary)


def _complete_unigrams(section: list[Ngram]) -> list[Ngram]:
    """The 1-grams in the order of their ids: <unk>, <s>, </s>, then all other words, sorted."""
    unigrams = {ngram.words[0]: ngram for ngram in section}
    words = sorted(set(unigrams) - set(SPECIAL))
    rarest = min((unigrams[word].log10_p for word in words), default=NEVER)
    unigrams.setdefault(SPECIAL[UNKNOWN], Ngram([SPECIAL[UNKNOWN]], rarest, 0.0))
    # Some tools leave <s> out, since no sentence contains it a second time.
    start = unigrams.get(SPECIAL[START], Ngram([SPECIAL[START]], NEVER, 0.0))
    unigrams[SPECIAL[START]] = start._replace(log10_p=NEVER)
    return [unigrams[word] for word in [*SPECIAL, *words]]
