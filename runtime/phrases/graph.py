"""The automaton of phrases over the symbols of one model, with every spelling of every word.

A symbol has one letter or several, and may contain a space. An arc of the graph says a symbol: it
leads from a state of the letters to the state that the letters of the symbol lead to. A node is a
state together with the symbol that led to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import BLANK
from ds2edge.runtime.phrases.letters import ANYTHING, Letters

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Arcs = tuple[Ints, Ints, Ints, Floats]  # source states, symbols, target states, weights


@dataclass(frozen=True)
class Graph:
    """Arcs from states to nodes, sorted by state. State 0 is the start."""

    first_arc: Ints  # [states + 1]: arcs of state s are first_arc[s] to first_arc[s + 1]
    arc_node: Ints  # [arcs]
    arc_weight: Floats  # [arcs], log
    node_state: Ints  # [nodes]
    node_symbol: Ints  # [nodes]
    final: Floats  # [states], log weight of an end; -inf where no phrase ends
    free: npt.NDArray[np.bool_]  # [nodes]: said by a wildcard

    @classmethod
    def of(cls, letters: Letters, alphabet: Sequence[str]) -> Graph:
        """Builds the graph for the alphabet of a model, which must have every letter."""
        states = len(letters.final)
        table = np.full((len(letters.labels), states), -1, np.int32)
        weight = np.zeros((len(letters.labels), states), np.float32)
        table[letters.label_ids, letters.sources] = letters.targets
        weight[letters.label_ids, letters.sources] = letters.weights
        arcs = [
            found
            for symbol, text in enumerate(alphabet)
            if symbol != BLANK and (found := _walk(symbol, text, letters.labels, table, weight))
        ]
        final = letters.final
        if ANYTHING in letters.labels:
            arcs, final = _with_wildcards(arcs, final, letters.labels, table, alphabet)
        source, symbol, target, cost = (
            np.concatenate(column) for column in zip(*arcs, strict=True)
        )
        return _graph(source, symbol, target, cost, final, len(alphabet), states)


def _with_wildcards(
    arcs: list[Arcs], final: Floats, labels: str, table: Ints, alphabet: Sequence[str]
) -> tuple[list[Arcs], Floats]:
    """Adds a state for each wildcard. An arc of every symbol leads from it to itself.

    Arcs lead to it from the state before the wildcard, and for symbols that start with a space also
    from the state before that space. The arcs of the state after the wildcard leave it too.
    """
    before = np.flatnonzero(table[labels.index(ANYTHING)] >= 0)
    after = table[labels.index(ANYTHING), before]
    inside = np.arange(len(final), len(final) + len(before), dtype=np.int32)
    state_of = dict(zip(before.tolist(), inside.tolist(), strict=True))
    spaces = table[labels.index(" ")] if " " in labels else np.full(len(final), -1, np.int32)
    spaced = np.flatnonzero(np.isin(spaces, before))
    symbols = np.arange(len(alphabet), dtype=np.int32)
    words = symbols[[len(text) > 0 and not text.startswith(" ") for text in alphabet]]
    leading = symbols[[len(text) > 1 and text.startswith(" ") for text in alphabet]]
    said = symbols[symbols != BLANK]
    added = [(place, words, state) for place, state in state_of.items()]
    added += [(state, said, state) for state in inside.tolist()]
    added += [(place, leading, state_of[int(spaces[place])]) for place in spaced.tolist()]
    new: list[Arcs] = [
        (
            np.full(len(chosen), place, np.int32),
            chosen,
            np.full(len(chosen), state, np.int32),
            np.zeros(len(chosen), np.float32),
        )
        for place, chosen, state in added
    ]
    for source, symbol, target, cost in arcs:
        for leaving, state in zip(after.tolist(), inside.tolist(), strict=True):
            found = source == leaving
            new.append(
                (np.full(found.sum(), state, np.int32), symbol[found], target[found], cost[found])
            )
    return arcs + new, np.concatenate([final, final[after]])


def _walk(symbol: int, text: str, labels: str, table: Ints, weight: Floats) -> Arcs | None:
    """Returns all arcs of one symbol. A phrase may start with a space."""
    source = target = np.arange(table.shape[1], dtype=np.int32)
    cost = np.zeros(len(source), np.float32)
    for place, letter in enumerate(text):
        if letter not in labels and letter != " ":
            return None
        label = labels.find(letter)
        step = table[label, target] if label >= 0 else np.full(len(target), -1, np.int32)
        paid = weight[label, target] if label >= 0 else np.zeros(len(target), np.float32)
        if letter == " " and place == 0:
            step = np.where((step < 0) & (target == 0), 0, step).astype(np.int32)
        alive = step >= 0
        source, target, cost = source[alive], step[alive], cost[alive] + paid[alive]
        if not len(source):
            return None
    return source, np.full(len(source), symbol, np.int32), target, cost


def _graph(
    source: Ints,
    symbol: Ints,
    target: Ints,
    cost: Floats,
    final: Floats,
    symbols: int,
    wildcards: int,
) -> Graph:
    """Sorts the arcs. `wildcards`: the first of the states of wildcards, which come last."""
    keys, arc_node = np.unique(target.astype(np.int64) * symbols + symbol, return_inverse=True)
    order = np.argsort(source, kind="stable")
    first_arc = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(final)))])
    return Graph(
        first_arc.astype(np.int32),
        arc_node[order].astype(np.int32),
        cost[order],
        (keys // symbols).astype(np.int32),
        (keys % symbols).astype(np.int32),
        final,
        keys // symbols >= wildcards,
    )
