"""Greedy CTC decoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.runtime.ctc import GreedyDecoder

ALPHABET = ("", " ", "a", "b", "'")


def logits_of(path: list[int], margin: float = 9.0) -> np.ndarray:
    logits = np.zeros((len(path), len(ALPHABET)), np.float32)
    logits[np.arange(len(path)), path] = margin
    return logits


def collapse(path: list[int]) -> str:
    """CTC's mapping from path to text by its definition: merge repeats, drop blanks, one space between words."""
    merged = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
    return " ".join("".join(ALPHABET[s] for s in merged if s).split())


@given(path=st.lists(st.integers(0, 4), max_size=40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_text_is_the_collapsed_path_however_it_is_cut(path, cuts):
    decoder, whole = GreedyDecoder(ALPHABET, 0.02), GreedyDecoder(ALPHABET, 0.02)
    for piece in np.split(logits_of(path), sorted(min(cut, len(path)) for cut in cuts)):
        decoder.accept(piece)
    whole.accept(logits_of(path))
    assert decoder.text() == collapse(path)
    assert decoder.words() == whole.words()


def test_words_carry_the_time_of_their_symbols():
    decoder = GreedyDecoder(ALPHABET, step_seconds=0.1)
    decoder.accept(logits_of([0, 0, 0, 2, 2, 0, 3, 1, 0, 2]))
    ab, a = decoder.words()
    assert (ab.text, ab.start, ab.end) == ("ab", 0.3, 0.7)
    assert (a.text, a.start, a.end) == ("a", 0.9, 1.0)


def test_confidence_is_the_softmax_of_the_symbols():
    decoder = GreedyDecoder(ALPHABET, 0.02)
    logits = np.concatenate([logits_of([2], 9.0), logits_of([0]), logits_of([3], 1.0)])
    decoder.accept(logits)
    sure, unsure = np.exp(9) / (np.exp(9) + 4), np.exp(1) / (np.exp(1) + 4)
    assert decoder.words()[0].confidence == pytest.approx((sure + unsure) / 2, abs=1e-4)


def test_a_repeat_needs_a_blank_between():
    decoder = GreedyDecoder(ALPHABET, 0.02)
    decoder.accept(logits_of([2, 2, 0, 2]))
    assert decoder.text() == "aa"


def test_a_pause_ends_a_word():
    """0.8 s: 8 steps of 0.1 s. A network that was trained on single phrases says no space between two of them."""
    decoder = GreedyDecoder(("", " ", "a", "b"), 0.1)
    decoder.accept(np.eye(4, dtype=np.float32)[[2] + [0] * 7 + [3] + [0] * 8 + [2]])
    assert [(word.text, word.start) for word in decoder.words()] == [("ab", 0.0), ("a", 1.7)]
