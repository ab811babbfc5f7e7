"""Reads phrases from files: sentence templates in YAML, or text with one phrase per line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text
from ds2edge.runtime.phrases.grammar import (
    SAID,
    WILDCARD,
    Choice,
    Expression,
    Grammar,
    Intent,
    Sequence,
    Slot,
    Text,
    Value,
)
from ds2edge.runtime.phrases.speller import REMEDY, Speller

MOST_NUMBERS = 10_000  # of one range
MOST_PERMUTED = 6  # parts of one permutation
DEEPEST = 30  # expansion rules within each other
MOST_WEIGHT = 1e9


def read_grammar(path: Path) -> Grammar:
    """Reads a .yaml file of templates, or a text file of one phrase per line.

    InputError names the file and the line of a fault. Templates also need hassil.
    """
    text = read_text(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _Reader(path, text).grammar()
    speller = Speller(str(path), {})
    phrases = [
        speller.spell(line, number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not phrases:
        raise InputError(f"{path}: has no phrase: write one on each line")
    return Grammar.of(phrases, speller.letters)


class _Reader:
    """Turns the content of a YAML file into a grammar."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._content = _load(path, text)
        self._speller = Speller(str(path), self._says())
        self._rules = self._part("expansion_rules")
        self._open_rules: list[str] = []
        self._open_lists: list[str] = []
        self._expanded: dict[str, Expression] = {}
        self._lists: dict[str, list[Value] | None] = {}

    def grammar(self) -> Grammar:
        intents = [
            self._intent(name, block)
            for name, content in self._part("intents").items()
            for block in self._blocks(name, content)
        ]
        if not intents:
            raise self._fault(1, "has no intent: write one below `intents:`")
        return Grammar(intents, self._lists, self._speller.letters)

    def _part(self, name: str) -> dict[str, Any]:
        return self._mapping(self._content, name)

    def _mapping(self, block: dict[str, Any], name: str) -> dict[str, Any]:
        mapping = block.get(name) or {}
        if not isinstance(mapping, dict):
            raise self._fault(mapping, f"'{name}' must be a mapping: names, each with a value")
        return mapping

    def _says(self) -> dict[str, str]:
        for word, said in (says := self._part("says")).items():
            if not isinstance(word, str) or not isinstance(said, str):
                raise self._fault(says, f"says '{word}': give words for a word, in quotation marks")
        return says

    def _blocks(self, name: str, content: Any) -> list[dict[str, Any]]:
        blocks = content.get("data") if isinstance(content, dict) else None
        if not isinstance(blocks, list) or not all(
            isinstance(block, dict) and isinstance(block.get("sentences"), list) for block in blocks
        ):
            raise self._fault(
                name, f"intent '{name}' needs `data:`, a list of blocks with `sentences:`"
            )
        return blocks

    def _intent(self, name: str, block: dict[str, Any]) -> Intent:
        sentences = tuple(self._sentence(sentence) for sentence in block["sentences"])
        slots = self._mapping(block, "slots")
        return Intent(str(name), sentences, slots, self._weight(block))

    def _weight(self, block: dict[str, Any]) -> float:
        weight = self._mapping(block, "metadata").get("weight", 1.0)
        if not isinstance(weight, (int, float)) or not 0 < weight < MOST_WEIGHT:
            raise self._fault(block, f"weight {weight} must be a number above 0")
        return math.log(weight)

    def _sentence(self, template: Any) -> Expression:
        expression = self._parse(template)
        if not _has_letters(expression, self._lists):
            raise self._fault(template, f"nothing of '{template}' can be said")
        return expression

    def _parse(self, template: Any) -> Expression:
        """A template with all rules expanded, and all its lists read."""
        from hassil.parse_expression import parse_sentence
        from hassil.parser import ParseError

        if isinstance(template, (int, float)) and not isinstance(template, bool):
            template = str(template)
        if not isinstance(template, str):
            raise self._fault(template, f"'{template}' is no sentence: put it in quotation marks")
        try:
            parsed = parse_sentence(template).expression
        except (ParseError, AssertionError, IndexError, ValueError) as error:
            raise self._fault(template, f"'{template}': {error or 'unbalanced brackets'}") from None
        return self._convert(parsed, _line(template))

    def _convert(self, parsed: Any, line: int) -> Expression:
        from hassil import expression as hassil

        if isinstance(parsed, hassil.TextChunk):
            return Text(self._speller.chunk(parsed.original_text, line))
        if isinstance(parsed, hassil.ListReference):
            self._read_list(parsed, line)
            return Slot(parsed.list_name, parsed.slot_name)
        if isinstance(parsed, hassil.RuleReference):
            return self._rule(parsed.rule_name, line)
        items = tuple(self._convert(item, line) for item in parsed.items)
        if isinstance(parsed, hassil.Alternative):
            return Choice(items)
        if isinstance(parsed, hassil.Permutation):
            if len(items) > MOST_PERMUTED:
                raise self._fault(
                    line, f"a permutation of {len(items)} parts: {MOST_PERMUTED} at most"
                )
            return Choice(tuple(map(Sequence, itertools.permutations(items))))
        return Sequence(items)

    def _rule(self, name: str, line: int) -> Expression:
        if name not in self._rules:
            raise self._fault(line, f"there is no expansion rule '{name}'")
        if name in self._open_rules or len(self._open_rules) > DEEPEST:
            raise self._fault(line, f"expansion rule '{name}' leads to itself")
        if name not in self._expanded:
            self._open_rules.append(name)
            self._expanded[name] = self._parse(self._rules[name])
            self._open_rules.pop()
        return self._expanded[name]

    def _read_list(self, reference: Any, line: int) -> None:
        name = reference.list_name
        if name in self._open_lists:
            raise self._fault(line, f"list '{name}' leads to itself")
        if name in self._lists:
            return
        if reference.is_inline_range:
            first, last, step = reference.get_inline_range()
            self._lists[name] = list(self._range({"from": first, "to": last, "step": step}, line))
            return
        content = self._part("lists").get(name)
        if not isinstance(content, dict):
            raise self._fault(line, f"there is no list '{name}'")
        if content.get("wildcard"):
            self._lists[name] = WILDCARD
        elif "range" in content:
            self._lists[name] = list(self._range(content["range"], line))
        elif isinstance(content.get("values"), list):
            self._open_lists.append(name)
            self._lists[name] = [self._value(value) for value in content["values"]]
            self._open_lists.pop()
        else:
            raise self._fault(line, f"list '{name}' needs `values:`, `range:` or `wildcard: true`")

    def _value(self, value: Any) -> Value:
        if not isinstance(value, dict):
            return Value(self._parse(value), SAID)
        if "in" not in value:
            raise self._fault(value, "a value needs `in:`, how it is said")
        return Value(self._parse(value["in"]), value.get("out", SAID), self._weight(value))

    def _range(self, content: Any, line: int) -> Iterator[Value]:
        try:
            step = int(content.get("step", 1))
            numbers = range(int(content["from"]), int(content["to"]) + 1, step)
            factor = content.get("multiplier", 1)
            float(factor)
            count = len(numbers)
            halves = {None: (), "halves": (5,), "tenths": range(1, 10)}[content.get("fractions")]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise self._fault(
                line, f"{str(content)[:60]} is no range: give from, to, and maybe step"
            ) from None
        if count * (1 + len(halves)) > MOST_NUMBERS:
            raise self._fault(line, f"a range of {count} numbers: {MOST_NUMBERS} at most")
        for number in numbers:
            words = self._speller.number(number, line)
            said: Expression = Text(words)
            if "hundred " in words:
                said = Choice((said, Text(words.replace("hundred ", "hundred and "))))
            yield Value(said, number * factor)
            for tenth in halves:
                digit = self._speller.number(tenth, line)
                yield Value(Text(f"{words} point {digit}"), (number + tenth / 10) * factor)

    def _fault(self, where: Any, problem: str) -> InputError:
        line = where if isinstance(where, int) else _line(where)
        return InputError(f"{self._path}:{line}: {problem}")


def _has_letters(expression: Expression, lists: Mapping[str, list[Value] | None]) -> bool:
    """Whether at least one way to say it has a letter."""
    if isinstance(expression, Text):
        return bool(expression.text.strip())
    if isinstance(expression, Slot):
        values = lists[expression.list_name]
        return values is WILDCARD or any(_has_letters(value.said, lists) for value in values)
    return any(_has_letters(item, lists) for item in expression.items)


class _Line(str):
    """A string of a YAML file, which knows its line."""

    line = 1


def _line(value: Any) -> int:
    if isinstance(value, dict):
        return min((_line(key) for key in value), default=1)
    return getattr(value, "line", 1)


def _load(path: Path, text: str) -> dict[str, Any]:
    """The content of a YAML file, whose strings know their lines."""
    try:
        import hassil  # noqa: F401  the parser of the templates
        import yaml
    except ModuleNotFoundError:
        raise InputError(f"{path}: templates need hassil: {REMEDY}") from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Keeps the line of each string."""

    def string(loader: Any, node: Any) -> _Line:
        value = _Line(loader.construct_scalar(node))
        value.line = node.start_mark.line + 1
        return value

    Loader.add_constructor("tag:yaml.org,2002:str", string)
    Loader.yaml_implicit_resolvers = {
        # "on", "off", "yes" and "no" are words here.
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:bool"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        content = yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not YAML ({error.problem})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: not YAML ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}:1: must be a mapping with `intents:`")
    return content
