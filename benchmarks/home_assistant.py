"""Writes Home Assistant's English sentences as templates, with names for a house.

    pip install home-assistant-intents
    python benchmarks/home_assistant.py house.yaml --entities 50 --examples 60 > sentences.txt

The package has the sentences. The names of rooms and devices belong to each house, so this script
adds some. The examples are sentences of random templates. Each template is equally likely.
"""

from __future__ import annotations

import itertools
import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.phrases.grammar import Grammar
from ds2edge.runtime.phrases.templates import read_grammar
from ds2edge.train.words.sampling import say

AREAS = ["attic", "bathroom", "bedroom", "garage", "hall", "kitchen", "living room", "office"]
FLOORS = ["ground floor", "first floor", "basement"]
DEVICES = ["lamp", "light", "fan", "heater", "blind", "speaker", "television", "window"]
KINDS = ["left", "right", "upper", "lower", "old", "new", "red", "blue", "green", "small"]


def entities(count: int) -> list[str]:
    """Names of devices: "kitchen lamp", "left kitchen lamp", "old left kitchen lamp" and so on."""
    prefixes = itertools.chain([""], (f"{kind} " for kind in KINDS), _pairs())
    names = (f"{prefix}{area} {device}" for prefix in prefixes for area, device in _devices())
    return list(itertools.islice(names, count))


def _pairs() -> list[str]:
    return [f"{first} {second} " for first, second in itertools.permutations(KINDS, 2)]


def _devices() -> list[tuple[str, str]]:
    return list(itertools.product(AREAS, DEVICES))


def examples(grammar: Grammar, count: int) -> list[str]:
    """Random sentences without wildcards."""
    rng = random.Random(0)
    templates = [sentence for intent in grammar.intents for sentence in intent.sentences]
    found: list[str] = []
    while len(found) < count:
        said = say(rng.choice(templates), grammar.lists, lambda _, options: rng.choice(options))
        if said is not None and grammar.match(text := " ".join(said.split())):
            found.append(text)
    return found


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--entities", "count", default=50, show_default=True, help="Number of names.")
@click.option("--examples", "wanted", default=0, help="Number of sentences to print.")
def main(output: Path, count: int, wanted: int) -> None:
    """Write the templates to OUTPUT (.yaml)."""
    content: dict[str, Any] = json.loads(
        (files("home_assistant_intents") / "data" / "en.json").read_text("utf-8")
    )
    names = {"name": entities(count), "area": AREAS, "floor": FLOORS}
    lists = content["lists"] | {name: {"values": values} for name, values in names.items()}
    parts = {"intents": content["intents"], "lists": lists}
    # JSON is YAML too.
    text = json.dumps(parts | {"expansion_rules": content["expansion_rules"]}, indent=1)
    output.write_text(text, "utf-8")
    for sentence in examples(read_grammar(output), wanted):
        click.echo(sentence)


if __name__ == "__main__":
    main()
