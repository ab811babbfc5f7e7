"""Which words a model says otherwise than the float one, and which of the two is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ds2edge.train.evaluation.scoring import align


@dataclass(frozen=True)
class WordPair:
    """A word of the float model beside that of another; "" where one of them says none."""

    float: str
    other: str
    right: str  # by the reference: float, other, both or neither


@dataclass(frozen=True)
class ChangedClip:
    """A clip on which the texts differ."""

    audio: str
    said: str
    words: list[WordPair]

    @property
    def changed(self) -> list[WordPair]:
        """The pairs that differ."""
        return [pair for pair in self.words if pair.float != pair.other]


def compare_texts(said: str, float_text: str, other_text: str) -> list[WordPair]:
    """The two texts, word beside word."""
    float_matches, other_matches = _matches(said, float_text), _matches(said, other_text)
    pairs = []
    for first, second in align(float_text, other_text):
        first_matches, second_matches = (
            bool(first) and next(float_matches),
            bool(second) and next(other_matches),
        )
        # To say nothing is right where the word that the other one says was not said.
        first_right = first_matches if first else not second_matches
        second_right = second_matches if second else not first_matches
        verdicts = {
            (True, True): "both",
            (True, False): "float",
            (False, True): "other",
            (False, False): "neither",
        }
        pairs.append(WordPair(first, second, verdicts[first_right, second_right]))
    return pairs


def _matches(said: str, text: str) -> Iterator[bool]:
    """Whether each word of the text is, in its place, one that was said."""
    return (word == heard for word, heard in align(said, text) if heard)
