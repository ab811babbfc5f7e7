"""Makes an n-gram model smaller: drops the n-grams that matter least (Stolcke 1998)."""

from __future__ import annotations

import numpy as np

from ds2edge.runtime.decoding.language_model import END, START, LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.table import Flags, Floats, NgramTable


def shrink(model: LanguageModel, size: float) -> LanguageModel:
    """The model in a file of at most `size` bytes, without the n-grams that matter least.

    InputError if the vocabulary alone takes more.
    """
    table = NgramTable.of(model)
    costs = _costs(table)
    ranked = np.sort(np.concatenate([*costs[1:], np.zeros(0)]))[::-1]
    keep = len(ranked)
    while (actual := len(model.to_bytes())) > size:
        if not keep:
            raise InputError(f"its {model.word_count:,} words alone take {actual / 1e6:.2f} MB")
        keep = int(keep * 0.999 * size / actual)
        least = ranked[keep] if keep < len(ranked) else -np.inf
        model = _select(table, [cost > least for cost in costs]).to_model(model.vocabulary)
    return model


def _costs(table: NgramTable) -> list[Floats]:
    """For each n-gram, the relative entropy between the model with it and without it.

    An n-gram costs at least as much as those that begin with it. 1-grams cost infinitely much.
    """
    log_first = table.log_p[0].copy()
    log_first[START] = log_first[END]  # a sentence begins where another ends
    log_joint = [log_first]  # of each order: log p(all words of the n-gram)
    costs = [np.full(len(log_first), np.inf)]
    for order in range(1, len(table.keys)):
        parents = table.parents(order)
        log_p = table.log_p[order]
        log_joint.append(log_joint[-1][parents] + log_p)
        costs.append(-np.exp(log_joint[order - 1][parents]) * _change(table, order))
    for order in range(len(costs) - 1, 1, -1):
        np.maximum.at(costs[order - 1], table.parents(order), costs[order])
    return costs


def _change(table: NgramTable, order: int) -> Floats:
    """For each n-gram, the mean change in log p after its history if it is dropped."""
    parents = table.parents(order)
    log_p = table.log_p[order]
    unseen, unseen_shorter = (part[parents] for part in table.unseen(order))
    shorter = table.scores(table.rows(order)[:, 1:])
    back_off = np.log((unseen + np.exp(log_p)) / (unseen_shorter + np.exp(shorter)))
    change_of_word: Floats = np.exp(log_p) * (shorter + back_off - log_p)
    change_of_unseen: Floats = unseen * (back_off - np.log(unseen / unseen_shorter))
    return change_of_word + change_of_unseen


def _select(table: NgramTable, keep: list[Flags]) -> NgramTable:
    """The table with some of its n-grams. The parent of an n-gram that is kept must be kept."""
    selected = NgramTable(table.words)
    for order, flags in enumerate(keep):
        keys = table.keys[order][flags]
        if order:
            new_index = np.cumsum(keep[order - 1]) - 1
            keys = new_index[keys // table.words] * table.words + keys % table.words
        selected.add(keys, table.log_p[order][flags])
    return selected
