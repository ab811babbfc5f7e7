"""Symbols of a model: letters, or word pieces learned from texts (Kudo 2018, arXiv 1804.10959)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import sentencepiece

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.text import LETTERS

SPACE = "\u2581"  # sentencepiece's sign for a space: the piece "\u2581the" begins a word


class Symbols:
    """An alphabet, and how to spell normalised texts in it. Joined symbols give the text again."""

    def __init__(self, pieces: bytes = b"") -> None:
        """`pieces` is a model from `learn`; without it the symbols are letters.

        ValueError if `pieces` is anything else.
        """
        self.pieces = pieces
        self.alphabet = LETTERS
        self._letters = {letter: index for index, letter in enumerate(LETTERS)}
        self._processor = None
        if pieces:
            self._processor, self.alphabet = _open(pieces)

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Symbols:
        """Learns the `size` symbols that spell normalised texts shortest.

        They include the blank and all letters. InputError if the texts do not have so many pieces;
        it names the largest possible size.
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
        """Indices of the symbols that spell a normalised text.

        KeyError for a character that is not in the alphabet.
        """
        if self._processor is None:
            return [self._letters[letter] for letter in text]
        indices: list[int] = self._processor.encode(text)
        return indices


def _open(pieces: bytes) -> tuple[sentencepiece.SentencePieceProcessor, tuple[str, ...]]:
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    except RuntimeError:
        raise ValueError("not a piece model") from None
    # Index 0, sentencepiece's unknown piece, is the blank: normalised texts have nothing unknown.
    names = (processor.id_to_piece(index) for index in range(1, processor.get_piece_size()))
    alphabet = ("", *(name.replace(SPACE, " ") for name in names))
    if missing := sorted(set(LETTERS) - set(alphabet)):
        raise ValueError(f"a piece model of another alphabet: it has no {missing[0]!r}")
    return processor, alphabet
