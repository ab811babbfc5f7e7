"""Greedy CTC decoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import logits_of

from ds2edge.runtime.decoding.greedy import GreedyDecoder

ALPHABET = ("", " ", "a", "b", "'")
PIECES = (
    "",
    " ",
    "a",
    "b",
    "ab",
    " a",
    " ba",
    "b ",
    "a b",
)  # that begin a word, end one, do both or neither


def collapse(path: list[int], alphabet: tuple[str, ...] = ALPHABET) -> str:
    """CTC's mapping from path to text by its definition: merge repeats, drop blanks, one space between words."""
    merged = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
    return " ".join("".join(alphabet[s] for s in merged if s).split())


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@given(data=st.data(), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_text_is_the_collapsed_path_however_it_is_cut(alphabet, data, cuts):
    """And however often it is asked for, and handed out, on the way."""
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
    found = [(word.text, word.start, word.end) for word in decoder.words()]
    assert found == [("baaa", 0.1, 0.7), ("b", 0.5, 0.7), ("ab", 0.8, 1.0)]
    assert [word.text for word in decoder.take(open_word=False)] == ["baaa", "b", "ab"]
    assert decoder.empty


@st.composite
def spoken_twice(draw):
    """One text, spoken once in letters and once in pieces, at the same times: paths of ALPHABET and PIECES."""
    letters, pieces = [], []
    for piece in draw(st.lists(st.sampled_from(PIECES[1:-1]), min_size=1, max_size=12)):
        said = [
            ALPHABET.index(letter)
            for letter in piece
            for _ in range(1 if letter == " " else draw(st.integers(1, 3)))
        ]
        letters += [*said, 0]
        pieces += [PIECES.index(piece)] * len(said) + [0]
    return letters, pieces


@given(paths=spoken_twice())
def test_letters_and_pieces_agree_on_words_and_within_a_step_on_times(paths):
    """A space takes one step, which a piece that begins or ends with it counts to the word."""
    found = []
    for path, alphabet in zip(paths, (ALPHABET, PIECES), strict=True):
        decoder = GreedyDecoder(alphabet, 0.1)
        decoder.accept(logits_of(path, alphabet))
        found.append(decoder.words())
    assert [word.text for word in found[0]] == [word.text for word in found[1]]
    for one, other in zip(*found, strict=True):
        assert one.start - 0.1001 < other.start <= one.start
        assert one.end <= other.end < one.end + 0.1001


def test_words_carry_the_time_of_their_symbols():
    decoder = GreedyDecoder(ALPHABET, step_seconds=0.1)
    decoder.accept(logits_of([0, 0, 0, 2, 2, 0, 3, 1, 0, 2], ALPHABET))
    ab, a = decoder.words()
    assert (ab.text, ab.start, ab.end) == ("ab", 0.3, 0.7)
    assert (a.text, a.start, a.end) == ("a", 0.9, 1.0)


def test_confidence_is_the_softmax_of_the_symbols():
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
    """0.8 s: 8 steps of 0.1 s. A network that was trained on single phrases says no space between two of them."""
    decoder = GreedyDecoder(("", " ", "a", "b"), 0.1)
    decoder.accept(np.eye(4, dtype=np.float32)[[2] + [0] * 7 + [3] + [0] * 8 + [2]])
    assert [(word.text, word.start) for word in decoder.words()] == [("ab", 0.0), ("a", 1.7)]
