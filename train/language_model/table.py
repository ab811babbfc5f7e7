"""An n-gram model as arrays, for look-ups of many n-grams at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.language_model import LanguageModel, Level

PROBABILITY_FLOOR = 1e-30  # stands for a probability of 0, which has no logarithm
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class NgramTable:
    """The n-grams of each order, sorted by their keys. Orders count from 0 here.

    The key of an n-gram is `parent * words + last word`. The parent is the index, one order below,
    of the n-gram without its last word.
    """

    def __init__(self, words: int) -> None:
        """`words`: the number of word ids. Orders are added by `append` or `add`."""
        self.words = words
        self.keys: list[Integers] = []
        self.log_p: list[Floats] = []  # log p(last word | the words before)
        self.back_off: list[Floats] = []  # log back-off weight of each n-gram as a history

    @classmethod
    def of(cls, model: LanguageModel) -> NgramTable:
        """The table of a model."""
        table = cls(len(model.vocabulary))
        for order, level in enumerate(model.levels):
            parents = np.zeros(len(level.words), np.int64)
            if order:
                children = model.levels[order - 1].children.astype(np.int64)
                parents = np.repeat(np.arange(len(children) - 1), np.diff(children))
            table.append(
                parents * table.words + level.words,
                np.asarray(level.log_probability, np.float64),
                np.asarray(level.back_off, np.float64),
            )
        return table

    def to_model(self, vocabulary: list[str]) -> LanguageModel:
        """The model of this table. `vocabulary`: the word of each id."""
        levels: list[Level] = []
        for order, keys in enumerate(self.keys):
            next_parents = np.zeros(0, np.int64)
            if order + 1 < len(self.keys):
                next_parents = self.parents(order + 1)
            children = np.searchsorted(next_parents, np.arange(len(keys) + 1))
            levels.append(
                Level(keys % self.words, self.log_p[order], self.back_off[order], children)
            )
        return LanguageModel(vocabulary, levels)

    def append(self, keys: Integers, log_p: Floats, back_off: Floats) -> None:
        """Appends the next order."""
        self.keys.append(keys)
        self.log_p.append(log_p)
        self.back_off.append(back_off)

    def add(self, keys: Integers, log_p: Floats) -> None:
        """Appends the next order, and computes the back-off weights of the order below."""
        self.append(keys, log_p, np.zeros(len(keys)))
        if len(self.keys) > 1:
            unseen, unseen_shorter = self.unseen(len(self.keys) - 1)
            self.back_off[-2] = np.log(unseen / unseen_shorter)

    def parents(self, order: int) -> Integers:
        """For each n-gram of an order, the index of its parent one order below."""
        return self.keys[order] // self.words

    def rows(self, order: int) -> Integers:
        """The word ids of all n-grams of an order, [n-grams, order + 1]."""
        last = (self.keys[order] % self.words)[:, None]
        return np.hstack([self.rows(order - 1)[self.parents(order)], last]) if order else last

    def scores(self, rows: Integers) -> Floats:
        """log p(last word | the words before) of each row of word ids.

        A negative id stands for no word.
        """
        length = min(rows.shape[1], len(self.keys))
        rows = rows[:, rows.shape[1] - length :]
        index, known = self.find(rows)
        scores = np.zeros(len(rows))
        scores[known] = self.log_p[length - 1][index[known]]
        if length > 1 and not known.all():
            context, context_known = self.find(rows[~known, :-1])
            back_off = np.where(context_known, self.back_off[length - 2][context], 0)
            scores[~known] = back_off + self.scores(rows[~known, 1:])
        return scores

    def find(self, rows: Integers) -> tuple[Integers, Flags]:
        """For each row of word ids, its index on its order and whether the table has it."""
        index = rows[:, 0]
        known = index >= 0
        for order in range(1, rows.shape[1]):
            if not len(self.keys[order]):
                return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
            keys = index * self.words + rows[:, order]
            index = np.minimum(np.searchsorted(self.keys[order], keys), len(self.keys[order]) - 1)
            known = known & (self.keys[order][index] == keys)
        return np.where(known, index, 0), known

    def unseen(self, order: int) -> tuple[Floats, Floats]:
        """For each n-gram of the order below, as a history, the probability of unseen next words.

        It is 1 minus the sum over the seen words. The first array sums their probabilities of this
        order, the second their probabilities after the shorter history. The quotient of the two
        arrays is the back-off weight.
        """
        parents = self.parents(order)
        histories = len(self.keys[order - 1])
        shorter = self.scores(self.rows(order)[:, 1:])
        seen = np.bincount(parents, np.exp(self.log_p[order]), histories)
        seen_shorter = np.bincount(parents, np.exp(shorter), histories)
        return (
            np.maximum(1 - seen, PROBABILITY_FLOOR),
            np.maximum(1 - seen_shorter, PROBABILITY_FLOOR),
        )
