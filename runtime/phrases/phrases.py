"""Phrases that are ready to be listened for: a grammar, its automaton, and how to keep both in a file."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ds2edge.runtime.decoding.ctc import Meaning
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE, PhraseDecoder
from ds2edge.runtime.phrases.grammar import Grammar
from ds2edge.runtime.phrases.graph import Graph
from ds2edge.runtime.phrases.letters import Letters
from ds2edge.runtime.phrases.templates import read_grammar

SUFFIX = ".ds2ph"
_GRAMMAR, _ARRAYS = "grammar.json", "letters.npz"


class Phrases:
    """What may be said. Called with the alphabet of a model, it makes a decoder for it."""

    def __init__(
        self, grammar: Grammar, letters: Letters, min_confidence: float = MIN_CONFIDENCE
    ) -> None:
        """Phrases of less confidence than `min_confidence`, 0 to 1, are rejected."""
        self.grammar = grammar
        self.letters = letters
        self.min_confidence = min_confidence
        self._graphs: dict[tuple[str, ...], Graph] = {}

    @classmethod
    def load(cls, path: str | os.PathLike[str], min_confidence: float | None = None) -> Phrases:
        """Reads a .yaml file of templates, a text file of one phrase per line, or a .ds2ph file.

        `min_confidence`: instead of the one in the .ds2ph file, or of the default.

        InputError if it cannot be read or has a fault; for YAML also if hassil is not installed.
        """
        path = Path(path)
        if path.suffix == SUFFIX:
            phrases = cls._compiled(path)
        else:
            grammar = read_grammar(path)
            phrases = cls(grammar, Letters.of(grammar))
        if min_confidence is not None:
            phrases.min_confidence = min_confidence
        return phrases

    @classmethod
    def of(cls, *phrases: str, min_confidence: float = MIN_CONFIDENCE) -> Phrases:
        """Phrases given as strings. InputError if one says nothing."""
        grammar = Grammar.of(phrases)
        return cls(grammar, Letters.of(grammar), min_confidence)

    def save(self, path: Path) -> None:
        """Writes a compiled file, which a device reads with numpy alone."""
        arrays = io.BytesIO()
        columns = {"labels": np.array(self.letters.labels), **self.letters.arrays()}
        np.savez_compressed(arrays, **columns)  # type: ignore[arg-type]
        content = {
            "format": 1,
            "min_confidence": self.min_confidence,
            "grammar": self.grammar.to_dict(),
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(_GRAMMAR), json.dumps(content), zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(_ARRAYS), arrays.getvalue())

    def __call__(self, alphabet: Sequence[str], step_seconds: float) -> PhraseDecoder:
        """A decoder for a stream of logits over this alphabet. InputError if the alphabet lacks a letter."""
        key = tuple(alphabet)
        if key not in self._graphs:
            missing = set(self.letters.labels) - set("".join(alphabet)) - {" ", "\0"}
            for letter in sorted(missing):
                where = self.grammar.letters.get(letter, "phrases")
                raise InputError(
                    f"{where}: the model has no symbol for '{letter}': spell it otherwise"
                )
            self._graphs[key] = Graph.of(self.letters, alphabet)
        graph = self._graphs[key]
        return PhraseDecoder(graph, alphabet, step_seconds, self.min_confidence, self.meaning)

    def meaning(self, text: str) -> Meaning | None:
        """What a text means; None if it is no phrase."""
        found = self.grammar.match(text) if text else None
        return Meaning(*found) if found else None

    @classmethod
    def _compiled(cls, path: Path) -> Phrases:
        try:
            with zipfile.ZipFile(path) as archive:
                content = json.loads(archive.read(_GRAMMAR))
                arrays = np.load(io.BytesIO(archive.read(_ARRAYS)), allow_pickle=False)
                labels = str(arrays["labels"])
                letters = Letters(labels, *(arrays[name] for name in Letters.ARRAYS))
            if content["format"] != 1:
                raise InputError(f"{path}: made by a newer ds2edge: upgrade this one")
            return cls(
                Grammar.from_dict(content["grammar"]), letters, float(content["min_confidence"])
            )
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: not made by `ds2edge phrases compile`, or cut short ({error})"
            ) from None
