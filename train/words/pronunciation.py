"""Pronunciations of English words, from a dictionary and, for other words, by a small network."""

from __future__ import annotations

import functools
from typing import Protocol

from ds2edge.runtime.errors import InputError
from ds2edge.train.words.distance import PHONES

# Phones that the dictionary writes in its own way, in the International Phonetic Alphabet.
_IPA = str.maketrans(
    {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ʤ": "dʒ", "ʧ": "tʃ"}
    | {"ᵊ": "ə", "ᵻ": "ɪ"}
)


class Pronunciations(Protocol):
    """Gives the pronunciation of words."""

    def word(self, word: str) -> str:
        """Returns the phones of a word, one character each; empty if it cannot be said."""

    def is_guess(self, word: str) -> bool:
        """Whether the word is not in the dictionary, so that its pronunciation is a guess."""


class Dictionary:
    """The dictionary and the network of hibari-tts, which its voice uses too.

    The dictionary is that of misaki: American English, 180,000 words. A network that has learned
    from espeak-ng reads all other words, such as many names.
    """

    def __init__(self) -> None:
        """InputError if hibari-tts is not installed."""
        try:
            from hibari.g2p import G2P
            from hibari.g2p.oov import OOV
        except ModuleNotFoundError:
            raise InputError(
                "pronunciations need hibari-tts: pip install '.[synthesis]' in the checkout"
            ) from None
        self._network = OOV()
        self._read = G2P(oov=self._guess)
        self._guessed = False
        self._words: dict[str, tuple[str, bool]] = {}

    def word(self, word: str) -> str:
        """Returns the phones of a word, one character each; empty if it cannot be said."""
        return self._look_up(word)[0]

    def is_guess(self, word: str) -> bool:
        """Whether the word is not in the dictionary, so that its pronunciation is a guess."""
        return self._look_up(word)[1]

    def _guess(self, word: str) -> str | None:
        self._guessed = True
        read: str | None = self._network(word)
        return read

    def _look_up(self, word: str) -> tuple[str, bool]:
        if word not in self._words:
            self._guessed = False
            read = self._read(word, normalize_text=False)
            phones = "".join(phone for phone in read if phone in PHONES)
            self._words[word] = phones, self._guessed
        return self._words[word]


@functools.cache
def dictionary() -> Dictionary:
    """The dictionary, loaded once. InputError if hibari-tts is not installed."""
    return Dictionary()


def pronounce(text: str, pronunciations: Pronunciations) -> str:
    """Returns the phones of a text, one character each, without a mark between words."""
    return "".join(map(pronunciations.word, text.split()))


def ipa(phones: str) -> str:
    """Returns phones in the International Phonetic Alphabet, for people to read."""
    return phones.translate(_IPA)
