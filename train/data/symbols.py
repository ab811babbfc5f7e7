"""What a model can say: letters, or pieces of words that are learned from the texts (Kudo 2018, arXiv 1804.10959)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import sentencepiece

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.text import LETTERS

SPACE = "\u2581"  # as sentencepiece writes it; " the" is one piece, which begins a word


class Symbols:
    """An alphabet, and how normalised texts are spelled in it: their symbols, one after the other, are the text."""

    def __init__(self, pieces: bytes = b"") -> None:
        """`pieces`: a model of `learn`; without one, letters. ValueError for anything else."""
        self.pieces = pieces
        self.alphabet = LETTERS
        self._letters = {letter: index for index, letter in enumerate(LETTERS)}
        self._processor = None
        if pieces:
            self._processor, self.alphabet = _open(pieces)

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Symbols:
        """The `size` symbols, blank and letters among them, that spell normalised texts shortest.

        InputError, with the largest size possible, if the texts do not have so many.
        """
        known = [text for text in texts if text]
        if not known:
            raise InputError("no text of split 'train' to learn pieces from")
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(known),
                model_writer=model,
                model_type="unigram",
                vocab_size=size,
                required_chars="".join(LETTERS).strip(),
                normalization_rule_name="identity",
                num_threads=1,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=3,
            )
        except RuntimeError as error:
            most = re.search(r"a value <= (\d+)", str(error))
            reason = f"these texts allow at most {most[1]}" if most else str(error).splitlines()[0]
            raise InputError(f"[text] pieces = {size}: {reason}") from None
        return cls(model.getvalue())

    def encode(self, text: str) -> list[int]:
        """Indexes of the symbols that a normalised text is made of. KeyError for a character that has no letter."""
        if self._processor is None:
            return [self._letters[letter] for letter in text]
        spelled: list[int] = self._processor.encode(text)
        return spelled


def _open(pieces: bytes) -> tuple[sentencepiece.SentencePieceProcessor, tuple[str, ...]]:
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    except RuntimeError:
        raise ValueError("not a piece model") from None
    # What it calls unknown, at index 0, is our blank: no normalised text has anything that is unknown.
    names = (processor.id_to_piece(index) for index in range(1, processor.get_piece_size()))
    alphabet = ("", *(name.replace(SPACE, " ") for name in names))
    if missing := sorted(set(LETTERS) - set(alphabet)):
        raise ValueError(f"a piece model of another alphabet: it has no {missing[0]!r}")
    return processor, alphabet
