"""All sentences of a grammar as one minimal automaton over letters.

Sentences are built from their ends. Two states with the same continuations are one state, so the
automaton is minimal at every moment (Revuz 1992), and a list before the same continuation is built
once. The weight of a sentence lies on the first letter that distinguishes it from better ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.grammar import (
    WILDCARD,
    Choice,
    Expression,
    Grammar,
    Sequence,
    Slot,
    Text,
)

ANYTHING = "\0"  # label of an arc for a wildcard
LETTER_NATS = 0.3  # a phrase of n letters counts as exp(-LETTER_NATS * n) phrases
# Up to this log of the number of such phrases, short ones are safe. Each nat more demands so many
# letters. Both fit the false accepts of grammars of 3 to 862 sentences (docs/phrases.md).
SAFE_NATS = 2.0
LETTERS_PER_NAT = 6.0
MOST_STATES = 2_000_000


@dataclass(frozen=True)
class Letters:
    """The automaton as arrays. State 0 is the start."""

    labels: str  # of arcs: letters, the space, ANYTHING
    sources: npt.NDArray[np.int32]  # [arcs]
    label_ids: npt.NDArray[np.uint8]  # [arcs], into `labels`
    targets: npt.NDArray[np.int32]  # [arcs]
    weights: npt.NDArray[np.float32]  # [arcs], log, at most 0
    final: npt.NDArray[np.float32]  # [states], log; -inf where no sentence ends

    TYPES: ClassVar = {
        "sources": np.dtype(np.int32),
        "label_ids": np.dtype(np.uint8),
        "targets": np.dtype(np.int32),
        "weights": np.dtype(np.float32),
        "final": np.dtype(np.float32),
    }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Returns all arrays by name."""
        return {name: getattr(self, name) for name in self.TYPES}

    @classmethod
    def from_arrays(cls, labels: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Letters:
        """The inverse of `arrays`. ValueError if they are no automaton."""
        letters = cls(labels, *(arrays[name] for name in cls.TYPES))
        types = {name: array.dtype for name, array in letters.arrays().items()}
        sizes = {letters.arrays()[name].shape for name in cls.TYPES if name != "final"}
        if types != cls.TYPES or sizes != {(len(letters.sources),)} or letters.final.ndim != 1:
            raise ValueError("its arrays have other types or sizes")
        for indices, end in (
            (letters.sources, len(letters.final)),
            (letters.targets, len(letters.final)),
            (letters.label_ids, len(labels)),
        ):
            if not len(indices) or indices.min() < 0 or indices.max() >= end:
                raise ValueError("an arc leads to a state or label that is not there")
        if np.isnan(letters.weights).any() or np.isnan(letters.final).any():
            raise ValueError("a weight is not a number")
        return letters

    def enough(self) -> float:
        """Returns the number of letters from which a phrase is safe from other speech.

        The more phrases there are, and the shorter they are, the more often does other speech sound
        like one of them by chance.
        """
        return max(0.0, LETTERS_PER_NAT * (self._looseness() - SAFE_NATS))

    def _looseness(self) -> float:
        """Log of the number of phrases, in which long ones and unlikely ones count for less."""
        letters = np.array([label not in (" ", ANYTHING) for label in self.labels])
        ends = np.exp(self.final.astype(np.float64))
        factors = np.exp(self.weights - LETTER_NATS * letters[self.label_ids])
        before, phrases = np.zeros_like(ends), ends  # what may be said from each state
        while not np.array_equal(before, phrases):  # until the longest phrase has ended
            said = factors * phrases[self.targets]
            before, phrases = phrases, ends + np.bincount(self.sources, said, len(ends))
        return float(np.log(phrases[0]))

    @classmethod
    def of(cls, grammar: Grammar) -> Letters:
        """Builds the automaton. InputError for no sentence, or for more than MOST_STATES states."""
        builder = _Builder(grammar)
        root = builder.whole()
        if root is None:
            raise InputError("no phrase is left: each needs at least one letter")
        return builder.arrays(root)


class _Rest(NamedTuple):
    """What may follow: a state, and a weight to add to all that follows."""

    weight: float
    state: int


Arcs = tuple[tuple[str, float, int], ...]


class _Builder:
    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._states: list[tuple[float | None, Arcs]] = []  # weight of an end here, and arcs
        self._ids: dict[tuple[float | None, Arcs], int] = {}
        self._unions: dict[tuple[int, int, float], _Rest] = {}
        self._slots: dict[tuple[str, int], _Rest | None] = {}
        self._stripped: dict[int, _Rest] = {}

    def whole(self) -> _Rest | None:
        end = _Rest(0.0, self._state(0.0, ()))
        sentences = []
        for intent in self._grammar.intents:
            for sentence in intent.sentences:
                rest = self._before(sentence, end)
                rest = self._strip(rest) if rest else None
                if rest and self._states[rest.state][1]:
                    sentences.append(_Rest(rest.weight + intent.weight, rest.state))
        found = self._any_of(sentences)
        if not found:
            return None
        final, arcs = self._states[found.state]
        if final is not None:  # nothing at all is no phrase
            found = _Rest(found.weight, self._state(None, arcs))
        return found

    def arrays(self, root: _Rest) -> Letters:
        order: dict[int, int] = {root.state: 0}
        for state in (queue := [root.state]):
            for _, _, target in self._states[state][1]:
                if target not in order:
                    order[target] = len(order)
                    queue.append(target)
        arcs = [
            (order[state], label, order[target], weight)
            for state in queue
            for label, weight, target in self._states[state][1]
        ]
        labels = "".join(sorted({label for _, label, _, _ in arcs}))
        finals = [self._states[state][0] for state in queue]
        return Letters(
            labels,
            np.array([a[0] for a in arcs], np.int32),
            np.array([labels.index(a[1]) for a in arcs], np.uint8),
            np.array([a[2] for a in arcs], np.int32),
            np.array([a[3] for a in arcs], np.float32),
            np.array([-np.inf if f is None else f for f in finals], np.float32),
        )

    def _state(self, final: float | None, arcs: Arcs) -> int:
        key = final, arcs
        known = self._ids.get(key)
        if known is None:
            known = self._ids[key] = len(self._states)
            self._states.append(key)
            if known > MOST_STATES:
                raise InputError(
                    f"the phrases need more than {MOST_STATES} states: use fewer or shorter lists"
                )
        return known

    def _before(self, expression: Expression, rest: _Rest | None) -> _Rest | None:
        """Puts `expression` before `rest`. None if nothing can be said."""
        if rest is None:
            return None
        if isinstance(expression, Text):
            for letter in reversed(expression.text):
                rest = self._space(rest) if letter == " " else self._letter(letter, rest)
            return rest
        if isinstance(expression, Sequence):
            for item in reversed(expression.items):
                rest = self._before(item, rest)
            return rest
        if isinstance(expression, Choice):
            said = [self._before(item, rest) for item in expression.items]
            return self._any_of([one for one in said if one])
        return self._slot(expression, rest)

    def _slot(self, slot: Slot, rest: _Rest) -> _Rest | None:
        key = slot.list_name, rest.state
        if key not in self._slots:
            values, end = self._grammar.lists[slot.list_name], _Rest(0.0, rest.state)
            if values is WILDCARD:
                found: _Rest | None = self._letter(ANYTHING, end)
            else:
                found = self._any_of(
                    [
                        _Rest(said.weight + value.weight, said.state)
                        for value in values
                        if (said := self._before(value.said, end))
                    ]
                )
            self._slots[key] = found
        found = self._slots[key]
        return _Rest(found.weight + rest.weight, found.state) if found else None

    def _any_of(self, rests: list[_Rest]) -> _Rest | None:
        """Merges many by halves, so that each letter is merged only log(n) times."""
        if len(rests) < 2:
            return rests[0] if rests else None
        middle = len(rests) // 2
        return self._either(self._any_of(rests[:middle]), self._any_of(rests[middle:]))

    def _letter(self, letter: str, rest: _Rest) -> _Rest:
        return _Rest(rest.weight, self._state(None, ((letter, 0.0, rest.state),)))

    def _space(self, rest: _Rest) -> _Rest:
        """Puts a space before `rest`: one if it starts with a space, none before its end."""
        inner = self._strip(_Rest(0.0, rest.state))
        final, arcs = self._states[inner.state]
        spaced = self._state(None, ((" ", 0.0, inner.state),)) if arcs else inner.state
        found = _Rest(inner.weight, spaced)
        if final is not None and arcs:
            found = self._union(found, _Rest(inner.weight + final, self._state(0.0, ())))
        return _Rest(found.weight + rest.weight, found.state)

    def _strip(self, rest: _Rest) -> _Rest:
        """Removes a space at the start of `rest`."""
        if rest.state not in self._stripped:
            final, arcs = self._states[rest.state]
            spaces = [_Rest(weight, target) for label, weight, target in arcs if label == " "]
            others = tuple(arc for arc in arcs if arc[0] != " ")
            found = None
            if others or final is not None:
                best = max([weight for _, weight, _ in others] + ([] if final is None else [final]))
                arcs = tuple((label, weight - best, target) for label, weight, target in others)
                end = None if final is None else final - best
                found = _Rest(best, self._state(end, arcs))
            for space in spaces:
                inner = self._strip(_Rest(0.0, space.state))
                inner = _Rest(inner.weight + space.weight, inner.state)
                found = self._union(found, inner) if found else inner
            assert found
            self._stripped[rest.state] = found
        found = self._stripped[rest.state]
        return _Rest(found.weight + rest.weight, found.state)

    def _either(self, a: _Rest | None, b: _Rest | None) -> _Rest | None:
        return self._union(a, b) if a and b else a or b

    def _union(self, a: _Rest, b: _Rest) -> _Rest:
        if a.state == b.state:
            return a if a.weight >= b.weight else b
        if a.state > b.state:
            a, b = b, a
        difference = round(a.weight - b.weight, 4)
        key = a.state, b.state, difference
        if key not in self._unions:
            self._unions[key] = self._merge(a.state, b.state, difference)
        found = self._unions[key]
        return _Rest(found.weight + b.weight, found.state)

    def _merge(self, a: int, b: int, head_start: float) -> _Rest:
        """Merges two states. `head_start` is added to the weights of all that `a` says."""
        best = max(head_start, 0.0)
        ends = [
            weight + bonus
            for state, bonus in ((a, head_start), (b, 0.0))
            if (weight := self._states[state][0]) is not None
        ]
        merged: dict[str, _Rest] = {}
        for state, bonus in ((a, head_start), (b, 0.0)):
            for label, weight, target in self._states[state][1]:
                arc = _Rest(weight + bonus, target)
                merged[label] = self._union(merged[label], arc) if label in merged else arc
        arcs = tuple(
            (label, round(rest.weight - best, 4), rest.state)
            for label, rest in sorted(merged.items())
        )
        return _Rest(best, self._state(round(max(ends) - best, 4) if ends else None, arcs))
