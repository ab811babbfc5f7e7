"""Phrases inside a model file: one file is then enough on a device."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

from ds2edge.runtime.files import write_whole
from ds2edge.runtime.model_file import network_checksum, read_phrases, replace_phrases
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.specification import read_specification

log = logging.getLogger("ds2edge")
NONE = "none"  # in place of a file of phrases: free text


def embed(model: Path, phrases: Phrases, output: Path) -> None:
    """Writes a copy of a model file with these phrases and their least confidence inside.

    They replace those that the model has inside. `output` may be `model`.

    InputError if `model` is no model file or lacks a letter, or `output` cannot be written.
    """
    phrases.graph(read_specification(model).alphabet)  # has the model all letters?
    write_whole(output, replace_phrases(model, phrases.to_bytes()))


def phrases_inside(model: Path) -> Phrases | None:
    """Returns the phrases inside a model file; None if it has none, or is no model file.

    InputError if they are damaged or a newer version wrote them.
    """
    content = read_phrases(model)
    if not content:
        return None
    return Phrases.compiled(io.BytesIO(content), f"{model}: phrases inside")


def choose_phrases(
    given: Phrases | str | os.PathLike[str] | None,
    model: Path,
    min_confidence: float | None = None,
) -> Phrases | None:
    """Returns the phrases to use with a model; None for free text.

    Warns if their least confidence was chosen for another model.

    `given`: phrases, the file that `Phrases.load` reads, or "none" for free text. None takes those
    inside the model, if there are any. `min_confidence` replaces the value of the file.

    InputError if a file cannot be used; TypeError for an argument of another type.
    """
    chosen = _choose(given, model, min_confidence)
    if chosen and chosen.calibrated_for and chosen.calibrated_for != network_checksum(model):
        log.warning(
            "the least confidence of the phrases was chosen for another model: compile them again "
            "with -m and --other-speech"
        )
    return chosen


def _choose(
    given: Phrases | str | os.PathLike[str] | None, model: Path, min_confidence: float | None
) -> Phrases | None:
    if isinstance(given, Phrases):
        return given
    if given is None:
        inside = phrases_inside(model)
        if inside is not None and min_confidence is not None:
            inside.reject_below(min_confidence)
        return inside
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"phrases must be a path or Phrases, not {type(given).__name__}")
    path = Path(given)
    if path == Path(NONE) and not path.is_file():
        return None
    return Phrases.load(path, min_confidence)
