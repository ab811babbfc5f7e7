"""Greedy CTC decoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import logits_of

from ds2edge.runtime.decoding.greedy import GreedyDecoder

ALPHABET = ("", " ", "a", "b", "'")
# Pieces that begin a word, end one, do both or neither.
PIECES = ("", " ", "a", "b", "ab", " a", " ba", "b ", "a b")


def collapse(path: list[int], alphabet: tuple[str, ...] = ALPHABET) -> str:
    """CTC's mapping from path to text: merge repeats, drop blanks, put one space between words."""
    merged = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
    return " ".join("".join(alphabet[s] for s in merged if s).split())


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@given(data=st.data(), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_any_chunking_gives_the_text_of_the_collapsed_path(alphabet, data, cuts):
    """It does not matter how often words are asked for or taken on the way."""
    path = data.draw(st.lists(st.integers(0, len(alphabet) - 1), max_size=40))
    logits = logits_of(path, alphabet)
    decoder, taker, whole = (GreedyDecoder(alphabet, 0.02) for _ in range(3))
    taken = []
    for part in np.split(logits, sorted(min(cut, len(path)) for cut in cuts)):
        decoder.accept(part)
        assert decoder.empty == (not decoder.words())
        taker.accept(part)
        taken += taker.take(open_word=False)
    whole.accept(logits)
    assert decoder.text() == collapse(path, alphabet)
    assert decoder.words() == whole.words()
    assert [word.text for word in taken + taker.take()] == [word.text for word in whole.words()]


def test_a_piece_may_begin_and_end_words():
    decoder = GreedyDecoder(PIECES, step_seconds=0.1)
    decoder.accept(logits_of([0, 6, 6, 2, 0, 8, 8, 0, 5, 7], PIECES))  # " ba" "a" "a b" " a" "b "
    times = [(word.text, word.start, word.end) for word in decoder.words()]
    assert times == [("baaa", 0.1, 0.7), ("b", 0.5, 0.7), ("ab", 0.8, 1.0)]
    assert [word.text for word in decoder.take(open_word=False)] == ["baaa", "b", "ab"]
    assert decoder.empty


@st.composite
def letters_and_pieces(draw):
    """Two paths of one text with the same times: one of ALPHABET, one of PIECES."""
    letters, pieces = [], []
    for piece in draw(st.lists(st.sampled_from(PIECES[1:-1]), min_size=1, max_size=12)):
        path = [
            ALPHABET.index(letter)
            for letter in piece
            for _ in range(1 if letter == " " else draw(st.integers(1, 3)))
        ]
        letters += [*path, 0]
        pieces += [PIECES.index(piece)] * len(path) + [0]
    return letters, pieces


@given(paths=letters_and_pieces())
def test_letters_and_pieces_give_the_same_words_and_nearly_the_same_times(paths):
    """A space takes one step. A piece with a space at its start or end counts it to the word."""
    results = []
    for path, alphabet in zip(paths, (ALPHABET, PIECES), strict=True):
        decoder = GreedyDecoder(alphabet, 0.1)
        decoder.accept(logits_of(path, alphabet))
        results.append(decoder.words())
    assert [word.text for word in results[0]] == [word.text for word in results[1]]
    for one, other in zip(*results, strict=True):
        assert one.start - 0.1001 < other.start <= one.start
        assert one.end <= other.end < one.end + 0.1001


def test_words_have_the_times_of_their_symbols():
    decoder = GreedyDecoder(ALPHABET, step_seconds=0.1)
    decoder.accept(logits_of([0, 0, 0, 2, 2, 0, 3, 1, 0, 2], ALPHABET))
    ab, a = decoder.words()
    assert (ab.text, ab.start, ab.end) == ("ab", 0.3, 0.7)
    assert (a.text, a.start, a.end) == ("a", 0.9, 1.0)


def test_confidence_is_the_mean_softmax_of_the_symbols():
    decoder = GreedyDecoder(ALPHABET, 0.02)
    logits = np.concatenate(
        [logits_of([2], ALPHABET), logits_of([0], ALPHABET), logits_of([3], ALPHABET, 1.0)]
    )
    decoder.accept(logits)
    sure, unsure = np.exp(9) / (np.exp(9) + 4), np.exp(1) / (np.exp(1) + 4)
    assert decoder.words()[0].confidence == pytest.approx((sure + unsure) / 2, abs=1e-4)


def test_a_repeat_needs_a_blank_between():
    decoder = GreedyDecoder(ALPHABET, 0.02)
    decoder.accept(logits_of([2, 2, 0, 2], ALPHABET))
    assert decoder.text() == "aa"


def test_a_pause_ends_a_word():
    """The pause is 8 steps of 0.1 s. Networks trained on single phrases emit no space there."""
    decoder = GreedyDecoder(("", " ", "a", "b"), 0.1)
    decoder.accept(np.eye(4, dtype=np.float32)[[2] + [0] * 7 + [3] + [0] * 8 + [2]])
    assert [(word.text, word.start) for word in decoder.words()] == [("ab", 0.0), ("a", 1.7)]
