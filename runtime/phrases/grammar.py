"""What may be said: sentences with choices and slots, by intent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

WILDCARD = None  # in place of the values of a list: any words
SAID = object()  # in place of the meaning of a value: the words that were said


@dataclass(frozen=True)
class Text:
    """Letters and spaces, as a model spells them."""

    text: str


@dataclass(frozen=True)
class Sequence:
    """All of its items, one after the other."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Choice:
    """One of its items."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Slot:
    """A value of a list. What it means goes to the slot `name`."""

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
    """Sentences that ask for the same thing."""

    name: str  # empty: the sentences have no intent
    sentences: tuple[Expression, ...]
    slots: Mapping[str, Any] = field(default_factory=dict)  # those that the words do not name
    weight: float = 0.0  # log of how much likelier than others


@dataclass
class Grammar:
    """All intents, and the lists that their slots name."""

    intents: list[Intent]
    lists: dict[str, list[Value] | None]  # None: a wildcard
    # Each letter, and the file and line where it comes first.
    letters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, phrases: Iterable[str], letters: Mapping[str, str] | None = None, in_a_row: int = 1
    ) -> Grammar:
        """Returns a grammar of phrases without an intent, as a model spells them.

        `in_a_row`: how many of them may be said one after the other.
        """
        letters = dict(letters or {})
        if in_a_row == 1:
            return cls([Intent("", tuple(map(Text, phrases)))], {}, letters)
        phrase = Slot("phrase", "phrase")
        sentence: Expression = phrase
        for _ in range(in_a_row - 1):
            more = Choice((Text(""), Sequence((Text(" "), sentence))))
            sentence = Sequence((phrase, more))
        values: list[Value] | None = [Value(Text(text), SAID) for text in phrases]
        return cls([Intent("", (sentence,))], {"phrase": values}, letters)

    def to_dict(self) -> dict[str, Any]:
        """Returns the grammar as lists and dictionaries for JSON."""
        lists = {
            name: None if values is WILDCARD else [_plain_value(value) for value in values]
            for name, values in self.lists.items()
        }
        intents = [
            [intent.name, list(map(_plain, intent.sentences)), dict(intent.slots), intent.weight]
            for intent in self.intents
        ]
        return {"intents": intents, "lists": lists}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Grammar:
        """Reads what `to_dict` returns. Raises built-in errors for anything else."""
        names = set(content["lists"])
        lists = {
            name: WILDCARD if values is None else [_value(names, *value) for value in values]
            for name, values in content["lists"].items()
        }
        intents = [
            Intent(
                str(name),
                tuple(_expression(names, sentence) for sentence in sentences),
                dict(slots),
                float(weight),
            )
            for name, sentences, slots, weight in content["intents"]
        ]
        return cls(intents, lists)

    def match(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """Returns intent and slots of a text whose words are separated by one space.

        If several sentences fit, the first one of the file counts. None if none fits.
        """
        matcher = _Matcher(text, self.lists)
        for intent in self.intents:
            for sentence in intent.sentences:
                for end, slots in matcher.match(sentence, 0):
                    if not text[end:].strip():
                        return intent.name, {**intent.slots, **slots}
        return None


def template(expression: Expression) -> str:
    """Returns an expression as text, in the syntax of a template."""
    if isinstance(expression, Text):
        return expression.text
    if isinstance(expression, Slot):
        return f"{{{expression.list_name}}}"
    items = [template(item) for item in expression.items]
    return f"({'|'.join(items)})" if isinstance(expression, Choice) else "".join(items)


def _plain(expression: Expression) -> Any:
    if isinstance(expression, Text):
        return expression.text
    if isinstance(expression, Slot):
        return {expression.list_name: expression.name}
    kind = "any" if isinstance(expression, Choice) else "all"
    return [kind, *map(_plain, expression.items)]


def _expression(lists: Collection[str], content: Any) -> Expression:
    """The inverse of `_plain`. KeyError for a slot that names none of `lists`."""
    if isinstance(content, str):
        return Text(content)
    if isinstance(content, dict):
        ((list_name, name),) = content.items()
        if list_name not in lists:
            raise KeyError(list_name)
        return Slot(list_name, name)
    kind, *inner = content
    items = tuple(_expression(lists, item) for item in inner)
    return Choice(items) if kind == "any" else Sequence(items)


def _plain_value(value: Value) -> list[Any]:
    said = _plain(value.said)
    return [said, value.weight] if value.means is SAID else [said, value.weight, value.means]


def _value(lists: Collection[str], said: Any, weight: float, means: Any = SAID) -> Value:
    return Value(_expression(lists, said), means, float(weight))


class _Matcher:
    """Finds all ways in which expressions match a text, as a backtracking parser does."""

    def __init__(self, text: str, lists: Mapping[str, list[Value] | None]) -> None:
        self._text = text
        self._lists = lists

    def match(self, expression: Expression, at: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields each place where the expression may end if it starts at `at`, and its slots."""
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
        """Returns where the literal ends if it starts at `at`; None if it does not fit.

        A space matches the space between two words, whether or not that one was matched before.
        """
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
