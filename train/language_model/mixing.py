"""Mixes several n-gram models into one (Stolcke 2002, SRILM's `-mix-lm`).

The mix has the n-grams of all its parts. The probability of each is the weighted mean of what the
parts say. Back-off weights make all probabilities sum to 1. Expectation maximisation finds the
weights (Jelinek and Mercer 1980).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ds2edge.runtime.decoding.language_model import END, SPECIAL, START, UNKNOWN, LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.table import PROBABILITY_FLOOR, Floats, Integers, NgramTable

EM_ROUNDS = 50  # of expectation maximisation, which has converged by then
NO_WORD = -1  # id before the start of a sentence


def mix(models: Sequence[LanguageModel], weights: Sequence[float]) -> LanguageModel:
    """One model of several. The weights are at least 0 and sum to 1."""
    vocabulary = _joint_vocabulary(models)
    parts = [_Part(model, vocabulary) for model in models]
    mixed = NgramTable(len(vocabulary))
    for keys, rows in _union(parts, len(vocabulary)):
        p = np.stack([part.probabilities(rows) for part in parts], axis=1) @ weights
        if rows.shape[1] == 1:
            p[START] = 0
            p /= p.sum()
        mixed.add(keys, np.log(np.maximum(p, PROBABILITY_FLOOR)))
    return mixed.to_model(vocabulary)


def tune(models: Sequence[LanguageModel], sentences: Iterable[str]) -> list[float]:
    """The weights with which a mix of `models` predicts `sentences` best.

    Words that no model knows do not count. InputError if no word is left.
    """
    vocabulary = _joint_vocabulary(models)
    rows = _rows_of_text(vocabulary, sentences, max(model.order for model in models))
    parts = [_Part(model, vocabulary) for model in models]
    p = np.stack([part.probabilities(rows) for part in parts], axis=1)
    p = p[(rows[:, -1] != UNKNOWN) & (p.sum(1) > 0)]
    if not len(p):
        raise InputError("the text to tune on has no word that a source knows")
    weights = np.full(len(models), 1 / len(models))
    for _ in range(EM_ROUNDS):
        shares = p * weights
        weights = (shares / shares.sum(1, keepdims=True)).mean(0)
    return [float(weight) for weight in weights]


class _Part:
    """One of the models that are mixed, looked up by the word ids of the mix."""

    def __init__(self, model: LanguageModel, vocabulary: list[str]) -> None:
        self.table = NgramTable.of(model)
        # The model's own id of each word of the mix. NO_WORD, as an index, finds the last element.
        self.own_ids = np.array([*map(model.id, vocabulary), NO_WORD], np.int64)
        self.known = self.own_ids != UNKNOWN
        self.known[UNKNOWN] = True

    def probabilities(self, rows: Integers) -> Floats:
        """p(last word | the words before) of each row, or 0 for a word that the model lacks."""
        scores = self.table.scores(self.own_ids[rows])
        return np.where(self.known[rows[:, -1]], np.exp(scores), 0)

    def joint_ids(self) -> Integers:
        """The id in the mix of each of the model's own ids."""
        words = np.flatnonzero(self.known[:-1])
        return words[np.argsort(self.own_ids[words])]


def _joint_vocabulary(models: Sequence[LanguageModel]) -> list[str]:
    words = {word for model in models for word in model.vocabulary[len(SPECIAL) :]}
    return [*SPECIAL, *sorted(words)]


def _union(parts: list[_Part], words: int) -> Iterator[tuple[Integers, Integers]]:
    """For each order, the n-grams that any part has: their keys in the mix and their word ids."""
    keys = np.arange(words)
    rows = keys[:, None]
    yield keys, rows
    joint_ids = [part.joint_ids() for part in parts]
    joint_index = joint_ids  # of each part: where in the mix its n-grams of the order below are
    for order in range(1, max(len(part.table.keys) for part in parts)):
        keys_of_parts = []
        for part, ids, index in zip(parts, joint_ids, joint_index, strict=True):
            own = part.table.keys[order] if order < len(part.table.keys) else np.zeros(0, np.int64)
            parents = index[own // part.table.words]
            keys_of_parts.append(parents * words + ids[own % part.table.words])
        keys = np.unique(np.concatenate(keys_of_parts))
        joint_index = [np.searchsorted(keys, part_keys) for part_keys in keys_of_parts]
        rows = np.hstack([rows[keys // words], (keys % words)[:, None]])
        yield keys, rows


def _rows_of_text(vocabulary: list[str], sentences: Iterable[str], order: int) -> Integers:
    """A row of `order` ids for each word and each end of a sentence, preceded by its history.

    Ids before the start of the sentence are NO_WORD.
    """
    ids = {word: index for index, word in enumerate(vocabulary)}
    rows: list[list[int]] = []
    for sentence in sentences:
        words = [ids.get(word, UNKNOWN) for word in sentence.split()] + [END]
        history = [NO_WORD] * (order - 2) + [START] if order > 1 else []
        padded = history + words
        rows += [padded[end - order : end] for end in range(order, len(padded) + 1)]
    return np.array(rows, np.int64).reshape(-1, order)
