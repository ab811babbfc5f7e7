"""What may be said: sentences with choices and slots, by intent. `templates.py` reads them from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

WILDCARD = None  # what a list holds that takes any words
SAID = object()  # the meaning of a value that means what was said


@dataclass(frozen=True)
class Text:
    """Letters and spaces, as they are spelled."""

    text: str


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Choice:
    """One of them."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Slot:
    """A value of the list of that name. Its meaning is kept under the slot's name."""

    list_name: str
    name: str


Expression: TypeAlias = "Text | Sequence | Choice | Slot"


@dataclass(frozen=True)
class Value:
    """One value of a list: how it is said, and what it means."""

    said: Expression
    means: Any
    weight: float = 0.0  # log of how much likelier than others


@dataclass(frozen=True)
class Intent:
    """Sentences of one meaning."""

    name: str
    sentences: tuple[Expression, ...]
    slots: Mapping[str, Any] = field(default_factory=dict)  # that are always so
    weight: float = 0.0  # log of how much likelier than others


@dataclass
class Grammar:
    """All intents, and the lists that their slots name."""

    intents: list[Intent]
    lists: dict[str, list[Value] | None]  # None: a wildcard
    letters: dict[str, str] = field(
        default_factory=dict
    )  # and file and line where each comes first

    @classmethod
    def of(cls, phrases: Iterable[str]) -> Grammar:
        """One intent without a name, of phrases that are spelled as the model spells."""
        return cls([Intent("", tuple(map(Text, phrases)))], {})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and tables, as JSON holds them."""
        lists = {
            name: None if values is WILDCARD else [_plain_value(value) for value in values]
            for name, values in self.lists.items()
        }
        intents = [
            [intent.name, list(map(_plain, intent.sentences)), dict(intent.slots)]
            for intent in self.intents
        ]
        return {"intents": intents, "lists": lists}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Grammar:
        """The inverse of `to_dict`; weights, which only the automaton needs, are not kept."""
        lists = {
            name: WILDCARD if values is None else [_value(*value) for value in values]
            for name, values in content["lists"].items()
        }
        intents = [
            Intent(name, tuple(map(_expression, sentences)), slots)
            for name, sentences, slots in content["intents"]
        ]
        return cls(intents, lists)

    def match(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """Intent and slots of a text that the grammar holds, the first in the order of the file; None if it holds none.

        Words are separated by one space.
        """
        matcher = _Matcher(text, self.lists)
        for intent in self.intents:
            for sentence in intent.sentences:
                for end, slots in matcher.match(sentence, 0):
                    if not text[end:].strip():
                        return intent.name, {**intent.slots, **slots}
        return None


def _plain(expression: Expression) -> Any:
    if isinstance(expression, Text):
        return expression.text
    if isinstance(expression, Slot):
        return {expression.list_name: expression.name}
    kind = "any" if isinstance(expression, Choice) else "all"
    return [kind, *map(_plain, expression.items)]


def _expression(content: Any) -> Expression:
    if isinstance(content, str):
        return Text(content)
    if isinstance(content, dict):
        ((list_name, name),) = content.items()
        return Slot(list_name, name)
    kind, *inner = content
    items = tuple(map(_expression, inner))
    return Choice(items) if kind == "any" else Sequence(items)


def _plain_value(value: Value) -> list[Any]:
    said = _plain(value.said)
    return [said] if value.means is SAID else [said, value.means]


def _value(said: Any, means: Any = SAID) -> Value:
    return Value(_expression(said), means)


class _Matcher:
    """Matches expressions at places of one text, all ways, as a backtracking parser does."""

    def __init__(self, text: str, lists: Mapping[str, list[Value] | None]) -> None:
        self._text = text
        self._lists = lists

    def match(self, expression: Expression, at: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every end of the expression from `at`, with the slots on the way."""
        if isinstance(expression, Text):
            end = self._literal(expression.text, at)
            if end is not None:
                yield end, {}
        elif isinstance(expression, Choice):
            for item in expression.items:
                yield from self.match(item, at)
        elif isinstance(expression, Slot):
            yield from self._slot(expression, at)
        else:
            yield from self._sequence(expression.items, at)

    def _sequence(
        self, items: tuple[Expression, ...], at: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        if not items:
            yield at, {}
            return
        for middle, first in self.match(items[0], at):
            for end, rest in self._sequence(items[1:], middle):
                yield end, {**first, **rest}

    def _slot(self, slot: Slot, at: int) -> Iterator[tuple[int, dict[str, Any]]]:
        values = self._lists[slot.list_name]
        if values is WILDCARD:
            start = at + (self._text[at : at + 1] == " ")
            ends = [i for i in range(start + 1, len(self._text)) if self._text[i] == " "]
            for end in (*ends, len(self._text)):
                if end > start:
                    yield end, {slot.name: self._text[start:end]}
            return
        for value in values:
            for end, inner in self.match(value.said, at):
                means = self._text[at:end].strip() if value.means is SAID else value.means
                yield end, {**inner, slot.name: means}

    def _literal(self, wanted: str, at: int) -> int | None:
        """The end of a literal; a space in it stands for the one between words, if there is none yet."""
        for letter in wanted:
            if letter == " ":
                if self._text[at : at + 1] == " ":
                    at += 1
                elif 0 < at < len(self._text) and self._text[at - 1] != " ":
                    return None
            elif self._text[at : at + 1] == letter:
                at += 1
            else:
                return None
        return at
