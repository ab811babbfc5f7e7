"""`ds2edge info`: prints what is inside a .tflite file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.embedded import phrases_inside
from ds2edge.runtime.phrases.grammar import template
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.specification import Graph, Specification, read_specification

SHOWN_PIECES = 8  # pieces of words to show of a long alphabet
SHOWN_PHRASES = 5  # intents and sentences to show

Row = tuple[str, str]  # label and value


@click.command()
@model_option
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the whole specification, and the phrases inside, as JSON.",
)
def info(model: Path, as_json: bool) -> None:
    """Print what a model file (.tflite) contains."""
    specification = read_specification(model)
    phrases = phrases_inside(model)
    if as_json:
        values = json.loads(specification.to_json())
        values |= {"phrases": _phrases_values(phrases)} if phrases else {}
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
        return
    for label, value in _rows(specification, model):
        click.echo(f"{label:<15} {value}")
    if phrases:
        click.echo(f"{'phrases':<15} {_phrases_text(phrases)}")


def _phrases_values(phrases: Phrases) -> dict[str, Any]:
    """The intents, the sentences that have none, and figures."""
    intents = phrases.grammar.intents
    return {
        "intents": list(dict.fromkeys(intent.name for intent in intents if intent.name)),
        "sentences": [
            template(sentence)
            for intent in intents
            if not intent.name
            for sentence in intent.sentences
        ],
        "states": len(phrases.letters.final),
        "min_confidence": phrases.min_confidence,
    }


def _phrases_text(phrases: Phrases) -> str:
    values = _phrases_values(phrases)
    names = values["intents"] + values["sentences"]
    more = f" and {len(names) - SHOWN_PHRASES:,} more" if len(names) > SHOWN_PHRASES else ""
    return (
        f"{', '.join(names[:SHOWN_PHRASES])}{more}; {values['states']:,} states; "
        f"least confidence {phrases.min_confidence:g}"
    )


def _rows(specification: Specification, path: Path) -> list[Row]:
    rows = [
        ("model", f"{specification.name}, {path.stat().st_size / 1e6:.2f} MB"),
        ("alphabet", _alphabet(specification.alphabet[1:])),
        ("features", _features(specification)),
    ]
    if specification.graph is not None:
        rows += _graph_rows(specification, specification.graph)
    rows += [
        (key.replace("_", " "), _training_value(value))
        for key, value in specification.training.items()
        if value != ""
    ]
    return [*rows, ("interpreter", _interpreter())]


def _alphabet(symbols: Sequence[str]) -> str:
    visible = [symbol.replace(" ", "␣") for symbol in symbols]
    if max(map(len, visible), default=1) == 1:
        return f"{''.join(visible)} and blank ({len(visible) + 1})"
    first = " ".join(visible[:SHOWN_PIECES])
    return f"{len(visible)} letters and pieces of words, {first} ..., and blank"


def _features(specification: Specification) -> str:
    features = specification.features
    kind = f"linear spectrogram, {features.bins} bins"
    if features.mel_bands:
        kind = f"log-mel, {features.mel_bands} bands"
    window = 1000 * features.window / features.sample_rate
    hop = 1000 * features.hop / features.sample_rate
    return f"{kind}, {window:g} ms window, {hop:g} ms hop, {features.sample_rate} Hz"


def _graph_rows(specification: Specification, graph: Graph) -> list[Row]:
    step = 1000 * specification.step_seconds
    if graph.layers:
        context = f"bidirectional: {', '.join(graph.layers)}"
        latency = "whole recordings only: no text before the end"
    else:
        context = f"lookahead {graph.lookahead} steps"
        latency = f"at most {longest_latency(specification, graph):g} ms from a sound to its letter"
    states = [f"{state.name} {'x'.join(map(str, state.shape))}" for state in graph.states]
    rows = [
        ("graph", f"{graph.mode}, {graph.chunk_steps} steps of {step:g} ms, {context}"),
        ("latency", f"{latency}, plus computing time"),
        ("states", ", ".join(states)),
    ]
    if graph.calibration_clips:
        rows.append(("calibration", f"{graph.calibration_clips} clips"))
    return rows


def longest_latency(specification: Specification, graph: Graph) -> float:
    """Returns the longest delay in ms from a sound to its letter, without computing time."""
    features = specification.features
    overlap = (features.window - features.hop) / features.sample_rate
    chunk = (graph.chunk_steps + graph.lookahead) * specification.step_seconds
    return 1000 * (chunk + overlap)


def _training_value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {inner}" for key, inner in value.items())
    return str(value)


def _interpreter() -> str:
    try:
        return f"{find_interpreter()[1]} (on this machine)"
    except InputError as error:
        return str(error)
