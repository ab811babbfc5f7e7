"""Estimates an n-gram model from text, with interpolated modified Kneser-Ney smoothing.

See Chen and Goodman 1998, section 3. The unknown word gets its share of the uniform distribution
at the bottom, as in KenLM's lmplz (Heafield et al. 2013).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ds2edge.runtime.decoding.language_model import END, SPECIAL, START, UNKNOWN, LanguageModel
from ds2edge.train.language_model.table import (
    PROBABILITY_FLOOR,
    Flags,
    Floats,
    Integers,
    NgramTable,
)

# Discounts for texts that are too small to estimate them from, as in lmplz.
FALLBACK_DISCOUNTS = np.array([0.0, 0.5, 1.0, 1.5])


@dataclass
class _Ngrams:
    """The distinct n-grams of one order, sorted by their word ids."""

    words: Integers  # id of the last word
    parents: Integers  # index, one order below, of all words but the last
    suffixes: Integers  # index, one order below, of all words but the first
    counts: Integers


class Perplexity(NamedTuple):
    """How well a model predicts a text."""

    value: float
    unknown_percent: float  # of the words


def estimate(sentences: Iterable[str], order: int = 3, prune: int = 0) -> LanguageModel:
    """A model of normalised `sentences`, with n-grams of up to `order` words.

    N-grams of two or more words with a count of at most `prune` are dropped, unless a longer one
    that is kept begins with them. Their probability goes to shorter histories.
    """
    vocabulary, tokens = _encode(sentences)
    orders = _count(tokens, len(vocabulary), order)
    counts = [_adjusted_counts(orders, n) for n in range(order)]
    keep = _select(orders, counts, prune)
    probabilities, back_offs = _smooth(orders, counts, keep, len(vocabulary))
    table = NgramTable(len(vocabulary))
    parents = np.zeros(len(vocabulary), np.int64)  # by their index among the n-grams that are kept
    for n, (ngrams, kept) in enumerate(zip(orders, keep, strict=True)):
        if n:
            parents = (np.cumsum(keep[n - 1]) - 1)[ngrams.parents]
        table.append(
            (parents * table.words + ngrams.words)[kept],
            np.log(np.maximum(probabilities[n][kept], PROBABILITY_FLOOR)),
            np.log(np.maximum(back_offs[n][kept], PROBABILITY_FLOOR)),
        )
    return table.to_model(vocabulary)


def perplexity(model: LanguageModel, sentences: Iterable[str]) -> Perplexity:
    """The perplexity of a model on the words and ends of `sentences`, unknown words included."""
    log_probability = 0.0
    words = 0
    ends = 0
    unknown = 0
    for sentence in sentences:
        history = [START]
        for word in [*map(model.id, sentence.split()), END]:
            log_probability += model.log_probability(tuple(history[-model.order :]), word)
            history.append(word)
        words += len(history) - 2
        ends += 1
        unknown += history.count(UNKNOWN)
    return Perplexity(float(np.exp(-log_probability / (words + ends))), 100 * unknown / words)


def _encode(sentences: Iterable[str]) -> tuple[list[str], Integers]:
    """The vocabulary, and the ids of all sentences in a row, each between <s> and </s>."""
    seen = {word: number for number, word in enumerate(SPECIAL)}
    tokens: list[int] = []
    for sentence in sentences:
        tokens.append(START)
        tokens += [seen.setdefault(word, len(seen)) for word in sentence.split()]
        tokens.append(END)
    vocabulary = [*SPECIAL, *sorted(list(seen)[len(SPECIAL) :])]
    ids = np.zeros(len(seen), np.int64)
    ids[[seen[word] for word in vocabulary]] = np.arange(len(seen))
    return vocabulary, ids[tokens]


def _count(tokens: Integers, words: int, order: int) -> list[_Ngrams]:
    """The n-grams of each order up to `order`, with their counts in `tokens`."""
    counts = np.bincount(tokens, minlength=words)
    counts[START] = 0  # it is never predicted
    zeros = np.zeros(words, np.int64)
    orders = [_Ngrams(np.arange(words), zeros, zeros, counts)]
    # For each position, the index of the n-gram that begins there, or -1 if none does.
    index = tokens
    for n in range(2, order + 1):
        starts = np.flatnonzero(index[: len(tokens) - n + 1] >= 0)
        starts = starts[tokens[starts + n - 1] != START]  # stay within a sentence
        last_words = tokens[starts + n - 1]
        # The parents are sorted, so sorting by parent and last word sorts by all words.
        keys, first, inverse, counts = np.unique(
            index[starts] * words + last_words,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        suffixes = index[starts[first] + 1]
        orders.append(_Ngrams(keys % words, keys // words, suffixes, counts))
        index = np.full(len(tokens), -1)
        index[starts] = inverse
    return orders


def _adjusted_counts(orders: list[_Ngrams], n: int) -> Integers:
    """The counts that Kneser-Ney smoothing uses.

    In the highest order: how often the n-gram occurs. In others: how many different words come
    before it. N-grams that begin with <s> have no word before them and keep their count.
    """
    counts = orders[n].counts
    if n + 1 == len(orders):
        return counts
    different = np.bincount(orders[n + 1].suffixes, minlength=len(counts))
    return np.where(different > 0, different, counts)


def _select(orders: list[_Ngrams], counts: list[Integers], prune: int) -> list[Flags]:
    """The n-grams to keep: those with a count above `prune`, their parents, and all words."""
    keep = [count > prune for count in counts]
    for n in range(len(orders) - 1, 0, -1):
        keep[n - 1][orders[n].parents[keep[n]]] = True
    keep[0][:] = True
    return keep


def _smooth(
    orders: list[_Ngrams], counts: list[Integers], keep: list[Flags], words: int
) -> tuple[list[Floats], list[Floats]]:
    """The probability and the back-off weight of each n-gram of each order."""
    shorter: Floats = np.full(1, 1 / (words - 1))  # uniform over all ids except <s>
    probabilities: list[Floats] = []
    back_offs: list[Floats] = []  # the first one is of the empty history
    for ngrams, count, kept in zip(orders, counts, keep, strict=True):
        parents = ngrams.parents
        discounts = np.where(kept, _discounts(count)[np.minimum(count, 3)], count)
        total = np.bincount(parents, count, len(shorter))
        freed = np.bincount(parents, discounts, len(shorter)) / np.maximum(total, 1)
        back_offs.append(np.where(total > 0, freed, 1.0))
        discounted = (count - discounts) / np.maximum(total, 1)[parents]
        shorter = discounted + freed[parents] * shorter[ngrams.suffixes]
        probabilities.append(shorter)
    probabilities[0][START] = 0
    back_offs.append(np.ones(len(shorter)))
    return probabilities, back_offs[1:]


def _discounts(counts: Integers) -> Floats:
    """The discounts of n-grams with a count of 0, 1, 2, and 3 or more.

    See Chen and Goodman 1998, equation 26.
    """
    once, twice, *_ = seen = [int((counts == times).sum()) for times in (1, 2, 3, 4)]
    if not all(seen):
        return FALLBACK_DISCOUNTS
    y = once / (once + 2 * twice)
    discounts = np.array([0.0] + [k - (k + 1) * y * seen[k] / seen[k - 1] for k in (1, 2, 3)])
    return discounts if (discounts[1:] > 0).all() else FALLBACK_DISCOUNTS
