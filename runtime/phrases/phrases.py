"""Phrases to listen for: a grammar, its automaton, and the file that holds both."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ds2edge.runtime.decoding.ctc import DecoderFactory, Meaning
from ds2edge.runtime.decoding.language_model import BROKEN_FILE_ERRORS
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import refuse_zip_bomb, write_whole
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE, PhraseDecoder
from ds2edge.runtime.phrases.grammar import SAID, Grammar, Text, Value
from ds2edge.runtime.phrases.graph import Graph
from ds2edge.runtime.phrases.letters import ANYTHING, Letters
from ds2edge.runtime.phrases.speller import Speller
from ds2edge.runtime.phrases.templates import read_grammar
from ds2edge.runtime.phrases.wildcards import WildcardText

SUFFIX = ".ds2ph"
FORMAT = 1
_CONTENT = "phrases.json"
_ARRAYS = "letters.npz"


class Phrases:
    """All that may be said. A call with the alphabet of a model makes a decoder for that model."""

    def __init__(
        self,
        grammar: Grammar,
        letters: Letters,
        min_confidence: float = MIN_CONFIDENCE,
        enough_letters: float | None = None,
        calibrated_for: str = "",
    ) -> None:
        """Phrases of less confidence than `min_confidence`, 0 to 1, are rejected.

        Phrases of fewer than `enough_letters` need clearer speech; by default, it follows from the
        letters. `calibrated_for`: checksum of the network for which `min_confidence` was chosen;
        empty if it fits any.
        """
        self.grammar = grammar
        self.letters = letters
        self.min_confidence = min_confidence
        self.enough_letters = letters.enough() if enough_letters is None else enough_letters
        self.calibrated_for = calibrated_for
        self._graphs: dict[tuple[str, ...], Graph] = {}
        self._free_text: DecoderFactory | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], min_confidence: float | None = None) -> Phrases:
        """Reads a .yaml file of templates, a text file of one phrase per line, or a .ds2ph file.

        `min_confidence` replaces the value of a .ds2ph file, or the default.

        InputError if the file cannot be read or has a fault. Templates also need hassil.
        """
        path = Path(path)
        if path.suffix == SUFFIX:
            phrases = cls.compiled(path, str(path))
        else:
            grammar = read_grammar(path)
            phrases = cls(grammar, Letters.of(grammar))
        if min_confidence is not None:
            phrases.reject_below(min_confidence)
        return phrases

    @classmethod
    def of(
        cls, *phrases: str, min_confidence: float = MIN_CONFIDENCE, in_a_row: int = 1
    ) -> Phrases:
        """Takes phrases as strings. InputError if one has no letter.

        `in_a_row`: how many of them may be said one after the other, without a pause.
        """
        speller = Speller("phrases", {})
        spelled = [speller.spell(phrase, number) for number, phrase in enumerate(phrases, 1)]
        grammar = Grammar.of(spelled, speller.letters, in_a_row)
        return cls(grammar, Letters.of(grammar), min_confidence)

    def reject_below(self, min_confidence: float, calibrated_for: str = "") -> None:
        """Sets the least confidence, and the checksum of the network that it was chosen for."""
        self.min_confidence = min_confidence
        self.calibrated_for = calibrated_for

    def with_values(self, name: str, values: Mapping[str, Any] | Iterable[str]) -> Phrases:
        """Returns the same phrases with other values in the list `name`.

        `values`: how each is said; in a mapping, also what it means. InputError if there is no such
        list, or if a value has no letter.
        """
        if name not in self.grammar.lists:
            raise InputError(f"the phrases have no list '{name}': it must be in a template")
        speller = Speller(f"list '{name}'", {})
        meanings = values if isinstance(values, Mapping) else dict.fromkeys(values, SAID)
        new = [
            Value(Text(speller.spell(said, number)), means)
            for number, (said, means) in enumerate(meanings.items(), 1)
        ]
        letters = {**speller.letters, **self.grammar.letters}
        lists = {**self.grammar.lists, name: new}
        grammar = replace(self.grammar, lists=lists, letters=letters)
        phrases = Phrases(
            grammar,
            Letters.of(grammar),
            self.min_confidence,
            calibrated_for=self.calibrated_for,
        )
        phrases._free_text = self._free_text
        return phrases

    @property
    def has_wildcard(self) -> bool:
        """Whether a sentence has a wildcard."""
        return ANYTHING in self.letters.labels

    def with_free_text(self, decoder: DecoderFactory) -> Phrases:
        """Returns the same phrases. `decoder` finds the words of their wildcards.

        InputError if there is no wildcard.
        """
        if not self.has_wildcard:
            raise InputError(
                "a language model, hot words and a beam are for free text, and these phrases have "
                'no wildcard: omit them, or choose "none" for the phrases'
            )
        phrases = Phrases(
            self.grammar,
            self.letters,
            self.min_confidence,
            self.enough_letters,
            self.calibrated_for,
        )
        phrases._graphs = self._graphs
        phrases._free_text = decoder
        return phrases

    def save(self, path: Path) -> None:
        """Writes a compiled file, which a device reads without hassil."""
        write_whole(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Returns the content of a compiled file."""
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **self.letters.arrays())  # type: ignore[arg-type]
        content = {
            "format": FORMAT,
            "min_confidence": self.min_confidence,
            "enough_letters": self.enough_letters,
            "calibrated_for": self.calibrated_for,
            "grammar": self.grammar.to_dict(),
            "labels": self.letters.labels,
        }
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(_CONTENT), json.dumps(content), zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(_ARRAYS), arrays.getvalue())
        return file.getvalue()

    def __call__(self, alphabet: Sequence[str], step_seconds: float) -> PhraseDecoder:
        """Makes a decoder for this alphabet. InputError if the alphabet lacks a letter."""
        graph = self.graph(alphabet)
        free_text = self._free_text
        wildcard_text = (
            WildcardText(lambda: free_text(alphabet, step_seconds), step_seconds)
            if free_text and self.has_wildcard
            else None
        )
        return PhraseDecoder(
            graph,
            alphabet,
            step_seconds,
            self.min_confidence,
            self.meaning,
            wildcard_text,
            self.enough_letters,
        )

    def graph(self, alphabet: Sequence[str]) -> Graph:
        """Returns the graph for this alphabet. InputError if the alphabet lacks a letter."""
        key = tuple(alphabet)
        if key not in self._graphs:
            missing = set(self.letters.labels) - set("".join(alphabet)) - {" ", ANYTHING}
            for letter in sorted(missing):
                where = self.grammar.letters.get(letter, "phrases")
                raise InputError(
                    f"{where}: the model has no symbol for '{letter}': spell it with other letters"
                )
            self._graphs[key] = Graph.of(self.letters, alphabet)
        return self._graphs[key]

    def meaning(self, text: str) -> Meaning | None:
        """Returns what a text means; None if it is no phrase, or a phrase without an intent."""
        intent, slots = (self.grammar.match(text) if text else None) or ("", {})
        return Meaning(intent, slots) if intent else None

    @classmethod
    def compiled(cls, file: Path | IO[bytes], where: str) -> Phrases:
        """Reads a compiled file. InputError, beginning with `where`, for any other file."""
        try:
            with zipfile.ZipFile(file) as archive:
                refuse_zip_bomb(archive)
                content = json.loads(archive.read(_CONTENT))
                arrays = np.load(io.BytesIO(archive.read(_ARRAYS)), allow_pickle=False)
            refuse_zip_bomb(arrays.zip)
            if content["format"] != FORMAT:
                raise InputError(f"{where}: made by a newer ds2edge: upgrade this one")
            letters = Letters.from_arrays(content["labels"], arrays)
            grammar = Grammar.from_dict(content["grammar"])
            return cls(
                grammar,
                letters,
                float(content["min_confidence"]),
                float(content.get("enough_letters", 0)),
                str(content.get("calibrated_for", "")),
            )
        except FileNotFoundError:
            raise InputError(f"{where}: no such file") from None
        except InputError:
            raise
        except BROKEN_FILE_ERRORS as error:
            raise InputError(
                f"{where}: not made by `ds2edge phrases compile`, or cut short ({error})"
            ) from None
