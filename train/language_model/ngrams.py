"""Estimates an n-gram model from text: interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998, section 3).

The unknown word gets its share of the uniform distribution at the bottom, as in KenLM's lmplz (Heafield et al. 2013).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.language_model import (
    END,
    SPECIAL,
    START,
    UNKNOWN,
    LanguageModel,
    Level,
)

FALLBACK = np.array(
    [0.0, 0.5, 1.0, 1.5]
)  # lmplz's discounts for texts too small to estimate them from
LEAST = 1e-30  # stands for a probability of 0, which has no logarithm
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class _Grams:
    """The distinct n-grams of one order, sorted by their word ids."""

    words: Integers  # id of the last word
    parents: Integers  # index, one order below, of all words but the last
    suffixes: Integers  # index, one order below, of all words but the first
    counts: Integers


def estimate(sentences: Iterable[str], order: int = 3, prune: int = 0) -> LanguageModel:
    """A model of the words of normalised `sentences`, of n-grams up to `order`.

    `prune`: n-grams of two words and more that were counted so often or less are dropped, but for those that a longer
    one begins with; their probability goes to shorter histories.
    """
    vocabulary, tokens = _encode(sentences)
    orders = _count(tokens, len(vocabulary), order)
    counts = [_adjusted(orders, n) for n in range(order)]
    kept = _kept(orders, counts, prune)
    shorter: Floats = np.full(1, 1 / (len(vocabulary) - 1))  # uniform, over all ids but <s>
    probabilities: list[Floats] = []
    back_offs: list[Floats] = []  # of the order below each
    for grams, count, stays in zip(orders, counts, kept, strict=True):
        discounts = np.where(stays, _discounts(count)[np.minimum(count, 3)], count)
        total = np.bincount(grams.parents, count, len(shorter))
        freed = np.bincount(grams.parents, discounts, len(shorter)) / np.maximum(total, 1)
        back_offs.append(np.where(total > 0, freed, 1.0))
        shorter = (count - discounts) / np.maximum(total, 1)[grams.parents] + freed[
            grams.parents
        ] * shorter[grams.suffixes]
        probabilities.append(shorter)
    probabilities[0][START] = 0
    back_offs.append(np.ones(len(shorter)))
    levels = []
    for n, (grams, stays) in enumerate(zip(orders, kept, strict=True)):
        parents = orders[n + 1].parents[kept[n + 1]] if n + 1 < order else np.zeros(0, np.int64)
        children = np.append(np.searchsorted(parents, np.flatnonzero(stays)), len(parents))
        logarithms = (
            np.log(np.maximum(p[stays], LEAST)) for p in (probabilities[n], back_offs[n + 1])
        )
        levels.append(Level(grams.words[stays], *logarithms, children))
    return LanguageModel(vocabulary, levels)


def perplexity(model: LanguageModel, sentences: Iterable[str]) -> tuple[float, float]:
    """Of the words and ends of `sentences`, unknown words included; and the percentage of words that are unknown."""
    log_probability, predicted, words, unknown = 0.0, 0, 0, 0
    for sentence in sentences:
        history = [START]
        for word in [*map(model.id, sentence.split()), END]:
            log_probability += model.log_probability(tuple(history[-model.order :]), word)
            history.append(word)
        predicted, words = predicted + len(history) - 1, words + len(history) - 2
        unknown += history.count(UNKNOWN)
    return float(np.exp(-log_probability / predicted)), 100 * unknown / words


def _encode(sentences: Iterable[str]) -> tuple[list[str], Integers]:
    """The vocabulary, and the ids of all sentences in a row, <s> before and </s> after each."""
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


def _count(tokens: Integers, words: int, order: int) -> list[_Grams]:
    counts = np.bincount(tokens, minlength=words)
    counts[START] = 0  # it is given, never predicted
    zeros = np.zeros(words, np.int64)
    orders = [_Grams(np.arange(words), zeros, zeros, counts)]
    ids = tokens  # of the n-gram that begins at each position, by its index in its order
    for n in range(2, order + 1):
        at = np.flatnonzero(ids[: len(tokens) - n + 1] >= 0)
        at = at[tokens[at + n - 1] != START]  # it would reach into the next sentence
        # Sorted by prefix, which is sorted itself, and last word: sorted by all words.
        keys, example, inverse, counts = np.unique(
            ids[at] * words + tokens[at + n - 1], True, True, True
        )
        orders.append(_Grams(keys % words, keys // words, ids[at[example] + 1], counts))
        ids = np.full(len(tokens), -1)
        ids[at] = inverse
    return orders


def _adjusted(orders: list[_Grams], n: int) -> Integers:
    """Of the highest order: how often; of others: after how many different words, but for <s>, before which is none."""
    raw = orders[n].counts
    if n + 1 == len(orders):
        return raw
    different = np.bincount(orders[n + 1].suffixes, minlength=len(raw))
    return np.where(different > 0, different, raw)


def _discounts(counts: Integers) -> Floats:
    """Taken off n-grams counted 0, 1, 2, and 3 times or more (Chen and Goodman 1998, equation 26)."""
    once, twice, *_ = seen = [int((counts == times).sum()) for times in (1, 2, 3, 4)]
    if not all(seen):
        return FALLBACK
    y = once / (once + 2 * twice)
    found = np.array([0.0] + [k - (k + 1) * y * seen[k] / seen[k - 1] for k in (1, 2, 3)])
    return found if (found[1:] > 0).all() else FALLBACK


def _kept(orders: list[_Grams], counts: list[Integers], prune: int) -> list[npt.NDArray[np.bool_]]:
    kept = [count > prune for count in counts]
    for n in range(len(orders) - 1, 0, -1):
        kept[n - 1][orders[n].parents[kept[n]]] = True
    kept[0][:] = True
    return kept
