"""Several n-gram models as one, and a model without the n-grams that it can best do without.

A mix has the n-grams of all its parts, each as probable as the weighted mean of what the parts say;
back-off weights make up the rest to 1 (Stolcke 2002, SRILM's `-mix-lm`). Weights are found by
expectation maximisation (Jelinek and Mercer 1980), n-grams are dropped by relative entropy (Stolcke
1998).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.ngrams import LEAST

ROUNDS = 50  # of expectation maximisation, which then changes nothing any more
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def mix(models: Sequence[LanguageModel], weights: Sequence[float]) -> LanguageModel:
    """One model, in which each of `models` has so much to say; weights are at least 0 and sum to 1."""
    vocabulary = _all_words(models)
    parts = [_Part(_Table.of(model), *_ids(vocabulary, model)) for model in models]
    mixed = _Table(len(vocabulary), [], [], [])
    for keys, rows in _union(parts, len(vocabulary)):
        p = np.stack([part.probabilities(rows) for part in parts], axis=1) @ weights
        if rows.shape[1] == 1:
            p[START] = 0
            p /= p.sum()
        mixed.add(keys, np.log(np.maximum(p, LEAST)))
    return mixed.model(vocabulary)


def tune(models: Sequence[LanguageModel], sentences: Iterable[str]) -> list[float]:
    """The weights by which a mix of `models` predicts `sentences` best. InputError if none knows a word of them.

    Words that no model knows do not count.
    """
    vocabulary = _all_words(models)
    order = max(model.order for model in models)
    rows = _rows_of_text(vocabulary, sentences, order)
    parts = [_Part(_Table.of(model), *_ids(vocabulary, model)) for model in models]
    p = np.stack([part.probabilities(rows) for part in parts], axis=1)
    p = p[(rows[:, -1] != UNKNOWN) & (p.sum(1) > 0)]
    if not len(p):
        raise InputError("the text to tune on has no word that a source knows")
    weights = np.full(len(models), 1 / len(models))
    for _ in range(ROUNDS):
        share = p * weights
        weights = (share / share.sum(1, keepdims=True)).mean(0)
    return [float(weight) for weight in weights]


def shrink(model: LanguageModel, size: float) -> LanguageModel:
    """The model in a file of at most `size` bytes: it loses the n-grams whose loss changes it least.

    InputError if its words alone take more.
    """
    table = _Table.of(model)
    costs = table.costs()
    every = np.sort(np.concatenate([*costs[1:], np.zeros(0)]))[::-1]
    kept = len(every)
    while (actual := len(model.to_bytes())) > size:
        if not kept:
            raise InputError(f"its {model.words:,} words alone take {actual / 1e6:.2f} MB")
        kept = int(kept * 0.999 * size / actual)
        least = every[kept] if kept < len(every) else -np.inf
        model = table.kept([cost > least for cost in costs]).model(model.vocabulary)
    return model


@dataclass
class _Table:
    """An n-gram model whose n-grams are looked up many at once.

    Of each order: sorted keys (index, one order below, of all words but the last; times `words`, plus the last one),
    log p(last word | the others), and log back-off weights.
    """

    words: int
    keys: list[Integers]
    log_p: list[Floats]
    back_off: list[Floats]

    @classmethod
    def of(cls, model: LanguageModel) -> _Table:
        table = cls(len(model.vocabulary), [], [], [])
        for order, level in enumerate(model.levels):
            parents = np.zeros(len(level.words), np.int64)
            if order:
                above = model.levels[order - 1].children.astype(np.int64)
                parents = np.repeat(np.arange(len(above) - 1), np.diff(above))
            table.keys.append(parents * table.words + level.words)
            table.log_p.append(np.asarray(level.log_probability, np.float64))
            table.back_off.append(np.asarray(level.back_off, np.float64))
        return table

    def add(self, keys: Integers, log_p: Floats) -> None:
        """The next order, and with it the back-off weights of the one below."""
        self.keys.append(keys)
        self.log_p.append(log_p)
        self.back_off.append(np.zeros(len(keys)))
        if len(self.keys) > 1:
            rest, shorter = self.unseen(len(self.keys) - 1)
            self.back_off[-2] = np.log(rest / shorter)

    def model(self, vocabulary: list[str]) -> LanguageModel:
        levels: list[Level] = []
        for order, keys in enumerate(self.keys):
            longer = (
                self.parents(order + 1) if order + 1 < len(self.keys) else np.zeros(0, np.int64)
            )
            children = np.searchsorted(longer, np.arange(len(keys) + 1))
            logarithms = self.log_p[order], self.back_off[order]
            levels.append(Level(keys % self.words, *logarithms, children))
        return LanguageModel(vocabulary, levels)

    def parents(self, order: int) -> Integers:
        return self.keys[order] // self.words

    def rows(self, order: int) -> Integers:
        """The word ids of all n-grams of an order, counted from 0."""
        last = (self.keys[order] % self.words)[:, None]
        return np.hstack([self.rows(order - 1)[self.parents(order)], last]) if order else last

    def scores(self, rows: Integers) -> Floats:
        """log p(last word | the others) of each row of word ids; negative ids stand for no word."""
        length = min(rows.shape[1], len(self.keys))
        rows = rows[:, rows.shape[1] - length :]
        found, known = self._find(rows)
        scores = np.zeros(len(rows))
        scores[known] = self.log_p[length - 1][found[known]]
        if length > 1 and not known.all():
            context, has = self._find(rows[~known, :-1])
            weight = np.where(has, self.back_off[length - 2][context], 0)
            scores[~known] = weight + self.scores(rows[~known, 1:])
        return scores

    def _find(self, rows: Integers) -> tuple[Integers, Flags]:
        """Index of each row on its order, and whether it is there."""
        index, known = rows[:, 0], rows[:, 0] >= 0
        for order in range(1, rows.shape[1]):
            if not len(self.keys[order]):
                return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
            keys = index * self.words + rows[:, order]
            index = np.minimum(np.searchsorted(self.keys[order], keys), len(self.keys[order]) - 1)
            known = known & (self.keys[order][index] == keys)
        return np.where(known, index, 0), known

    def unseen(self, order: int) -> tuple[Floats, Floats]:
        """Of each history of `order` words: what its n-grams leave to others, here and by shorter histories."""
        parents, histories = self.parents(order), len(self.keys[order - 1])
        shorter = self.scores(self.rows(order)[:, 1:])
        seen, seen_shorter = (
            np.bincount(parents, np.exp(p), histories) for p in (self.log_p[order], shorter)
        )
        return np.maximum(1 - seen, LEAST), np.maximum(1 - seen_shorter, LEAST)

    def costs(self) -> list[Floats]:
        """What the loss of each n-gram costs in relative entropy; at least what one costs that begins with it."""
        first = self.log_p[0].copy()
        first[START] = first[END]  # a sentence begins where one ends
        joint, costs = [first], [np.full(len(first), np.inf)]
        for order in range(1, len(self.keys)):
            parents, log_p = self.parents(order), self.log_p[order]
            joint.append(joint[-1][parents] + log_p)
            rest, rest_shorter = (part[parents] for part in self.unseen(order))
            shorter = self.scores(self.rows(order)[:, 1:])
            weight = np.log((rest + np.exp(log_p)) / (rest_shorter + np.exp(shorter)))
            change = np.exp(log_p) * (shorter + weight - log_p) + rest * (
                weight - np.log(rest / rest_shorter)
            )
            costs.append(-np.exp(joint[order - 1][parents]) * change)
        for order in range(len(costs) - 1, 1, -1):
            np.maximum.at(costs[order - 1], self.parents(order), costs[order])
        return costs

    def kept(self, stay: list[Flags]) -> _Table:
        """Those n-grams alone; with one stays what it begins with."""
        table = _Table(self.words, [], [], [])
        for order, kept in enumerate(stay):
            keys = self.keys[order][kept]
            if order:
                below = np.cumsum(stay[order - 1]) - 1  # the new indices
                keys = below[keys // self.words] * self.words + keys % self.words
            table.add(keys, self.log_p[order][kept])
        return table


@dataclass
class _Part:
    """A model that is mixed with others, by the word ids of the mix."""

    table: _Table
    ids: Integers  # the model's own of each word, and -1 for no word at the end
    known: Flags  # whether the model knows the word

    def probabilities(self, rows: Integers) -> Floats:
        """p(last word | the others) of each row; 0 for a word that the model does not know."""
        scores = self.table.scores(self.ids[rows])
        return np.where(self.known[rows[:, -1]], np.exp(scores), 0)

    def names(self) -> Integers:
        """The word of the mix that each of the model's ids stands for."""
        words = np.flatnonzero(self.known[:-1])
        return words[np.argsort(self.ids[words])]


def _all_words(models: Sequence[LanguageModel]) -> list[str]:
    words = {word for model in models for word in model.vocabulary[len(SPECIAL) :]}
    return [*SPECIAL, *sorted(words)]


def _ids(vocabulary: list[str], model: LanguageModel) -> tuple[Integers, Flags]:
    """The model's id of each word, with -1 for no word at the end; and whether the model knows it."""
    ids = np.array([*map(model.id, vocabulary), -1], np.int64)
    known = ids != UNKNOWN
    known[UNKNOWN] = True
    return ids, known


def _union(parts: list[_Part], words: int) -> Iterable[tuple[Integers, Integers]]:
    """Of each order, the n-grams that any of the parts has: their keys, and their word ids."""
    keys, rows = np.arange(words), np.arange(words)[:, None]
    yield keys, rows
    names = [part.names() for part in parts]
    places = list(names)  # of each part: where in the union its n-grams are
    for order in range(1, max(len(part.table.keys) for part in parts)):
        found = []
        for part, name, place in zip(parts, names, places, strict=True):
            table = part.table
            old = table.keys[order] if order < len(table.keys) else np.zeros(0, np.int64)
            found.append(place[old // table.words] * words + name[old % table.words])
        keys = np.unique(np.concatenate(found))
        places = [np.searchsorted(keys, one) for one in found]
        rows = np.hstack([rows[keys // words], (keys % words)[:, None]])
        yield keys, rows


def _rows_of_text(vocabulary: list[str], sentences: Iterable[str], order: int) -> Integers:
    """Each word and end of the sentences, last in a row of the words before it; -1 before the sentence."""
    ids = {word: index for index, word in enumerate(vocabulary)}
    rows: list[list[int]] = []
    for sentence in sentences:
        words = [
            *[-1] * (order - 2),
            START,
            *(ids.get(word, UNKNOWN) for word in sentence.split()),
            END,
        ]
        if order == 1:
            words = words[words.index(START) + 1 :]
        rows += [words[end - order : end] for end in range(order, len(words) + 1)]
    return np.array(rows, np.int64).reshape(-1, order)
