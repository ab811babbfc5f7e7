"""Words that differ between a model's text and the float model's, and which of the two is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ds2edge.train.evaluation.scoring import align

# By whether the float model and the other model are right.
_VERDICTS = {
    (True, True): "both",
    (True, False): "float",
    (False, True): "other",
    (False, False): "neither",
}


@dataclass(frozen=True)
class WordPair:
    """A word of the float model beside the word of another model. "" is a missing word."""

    float: str
    other: str
    right: str  # by the reference text: float, other, both or neither


@dataclass(frozen=True)
class ChangedClip:
    """A clip for which the texts differ."""

    audio: str
    said: str  # the reference text
    words: list[WordPair]

    @property
    def changed(self) -> list[WordPair]:
        """The pairs that differ."""
        return [pair for pair in self.words if pair.float != pair.other]


def compare_texts(reference: str, float_text: str, other_text: str) -> list[WordPair]:
    """Aligns the two models' texts word by word and judges each pair by the reference text."""
    float_matches = _matches(reference, float_text)
    other_matches = _matches(reference, other_text)
    pairs = []
    for float_word, other_word in align(float_text, other_text):
        float_right = bool(float_word) and next(float_matches)
        other_right = bool(other_word) and next(other_matches)
        # A missing word is right where the other model's word is wrong.
        if not float_word:
            float_right = not other_right
        if not other_word:
            other_right = not float_right
        pairs.append(WordPair(float_word, other_word, _VERDICTS[float_right, other_right]))
    return pairs


def _matches(reference: str, text: str) -> Iterator[bool]:
    """For each word of `text`, whether it is the reference's word at that place."""
    return (expected == word for expected, word in align(reference, text) if word)
