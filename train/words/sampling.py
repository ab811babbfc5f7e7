"""Random sentences of a grammar, so that templates and values are covered evenly."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import islice, product
from typing import Any, Protocol, TypeVar

from ds2edge.runtime.phrases.grammar import (
    WILDCARD,
    Choice,
    Expression,
    Grammar,
    Sequence,
    Slot,
    Text,
    Value,
)

T = TypeVar("T")
Options = list[T] | tuple[T, ...]
Lists = dict[str, list[Value] | None]


class Choose(Protocol):
    """Chooses one of the options of a choice or a slot."""

    def __call__(self, node: Choice | Slot, options: Options[T], /) -> T:
        """Returns one of `options`."""


def say(
    expression: Expression,
    lists: Lists,
    choose: Choose,
    wildcard: Callable[[], str] | None = None,
) -> str | None:
    """Returns one way to say an expression, spaces as they stand in it.

    `wildcard` returns the words of a wildcard. Without it, None stands for a sentence with one.
    """
    if isinstance(expression, Text):
        return expression.text
    if isinstance(expression, Choice):
        return say(choose(expression, expression.items), lists, choose, wildcard)
    if isinstance(expression, Sequence):
        parts = [say(item, lists, choose, wildcard) for item in expression.items]
        return None if None in parts else "".join(filter(None, parts))
    values = lists[expression.list_name]
    if values is WILDCARD:
        return wildcard() if wildcard else None
    return say(choose(expression, values).said, lists, choose, wildcard) if values else None


def ways(expression: Expression, lists: Lists, most: int) -> list[str]:
    """Returns up to `most` ways to say an expression, the first ones of the grammar.

    Words are separated by one space. A wildcard cannot be said.
    """
    return [" ".join(said.split()) for said in islice(_ways(expression, lists, most), most)]


def _ways(expression: Expression, lists: Lists, most: int) -> Iterator[str]:
    if isinstance(expression, Text):
        yield expression.text
    elif isinstance(expression, Choice):
        for item in expression.items:
            yield from _ways(item, lists, most)
    elif isinstance(expression, Slot):
        for value in lists[expression.list_name] or ():
            yield from _ways(value.said, lists, most)
    else:
        parts = [list(islice(_ways(item, lists, most), most)) for item in expression.items]
        yield from map("".join, product(*parts))


class Sampler:
    """Draws sentences of a grammar.

    Half of the sentences take the next template, the other half the next value of a list. Both go
    through all of them in random order before one comes again. So do the options of each choice.
    The weights of the grammar are not used: a rare phrase must be recognised too.
    """

    def __init__(
        self, grammar: Grammar, rng: random.Random, wildcard: Callable[[], str] | None = None
    ) -> None:
        """`wildcard` returns the words of a wildcard. Without it, no sentence has one."""
        self._lists = grammar.lists
        self._rng = rng
        self._wildcard = wildcard
        self._decks: dict[Hashable, list[int]] = {}
        self._leading: dict[tuple[str, Hashable], list[Any]] = {}
        self._reached: dict[int, frozenset[str]] = {}
        self._templates = [text for intent in grammar.intents for text in intent.sentences]
        reached = frozenset[str]().union(*map(self._reach, self._templates))
        self._values = [
            (name, value) for name in sorted(reached) for value in self._lists[name] or ()
        ]
        self._wanted: tuple[str, Value] | None = None  # the value that the sentence must have
        self._turn = 0

    @property
    def size(self) -> int:
        """The number of sentences after which every template and every value was said."""
        return 2 * max(len(self._templates), len(self._values))

    def sentence(self) -> str | None:
        """Draws a sentence, its words separated by one space. None if it has a wildcard."""
        self._turn += 1
        templates: Options[Expression] = self._templates
        self._wanted = None
        key = ""
        if self._turn % 2 == 0 and self._values:
            self._wanted = self._next("values", self._values)
            key = self._wanted[0]
            templates = self._leading_to(key, "templates", templates)
        template = self._next(("templates", key), templates)
        said = say(template, self._lists, self._choose, self._wildcard)
        return None if said is None else " ".join(said.split())

    def _choose(self, node: Choice | Slot, options: Options[T]) -> T:
        key = node.list_name if isinstance(node, Slot) else id(node)
        if self._wanted:
            name, value = self._wanted
            if key == name:
                self._wanted = None
                return value  # type: ignore[return-value]  # the options of a slot are values
            leading = self._leading_to(name, key, options)
            if leading:
                return self._rng.choice(leading)
        return self._next(key, options)

    def _next(self, key: Hashable, options: Options[T]) -> T:
        """Takes the next option from a shuffled deck, which is shuffled again when it is empty."""
        deck = self._decks.setdefault(key, [])
        if not deck:
            deck.extend(range(len(options)))
            self._rng.shuffle(deck)
        return options[deck.pop()]

    def _leading_to(self, name: str, key: Hashable, options: Options[T]) -> list[T]:
        """The options that can say a value of the list `name`. `key` stands for all options."""
        if (name, key) not in self._leading:
            self._leading[name, key] = [o for o in options if name in self._reach(o)]
        return self._leading[name, key]

    def _reach(self, node: Any) -> frozenset[str]:
        """The lists from which a part of the grammar takes values."""
        if id(node) not in self._reached:
            inner: Collection[Any] = ()
            own: set[str] = set()
            if isinstance(node, (Choice, Sequence)):
                inner = node.items
            elif isinstance(node, Value):
                inner = (node.said,)
            elif isinstance(node, Slot):
                inner = self._lists[node.list_name] or ()
                own = {node.list_name}
            self._reached[id(node)] = frozenset(own).union(*map(self._reach, inner))
        return self._reached[id(node)]
