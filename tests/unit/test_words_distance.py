"""The distance between pronunciations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2edge.train.words.distance import PHONES, distance, distances, pairs_within
from ds2edge.train.words.pronunciation import dictionary, pronounce

sounds = st.text(PHONES, max_size=8)


@pytest.mark.parametrize(
    ("a", "nearer", "further"),
    [
        ("fIv", "fI", "nIn"),  # five: fie, nine
        ("fɪftin", "fɪfti", "sɪkstin"),  # fifteen: fifty, sixteen
        ("lIt", "ɹIt", "nIt"),  # light: right, night
        ("tu", "du", "mu"),  # two: do, moo
        ("bɛd", "bæd", "bud"),  # bed: bad, booed
        ("ɡO", "kO", "sO"),  # go: co, so
        ("sɪt", "ʃɪt", "mɪt"),
        ("dA", "dɛ", "du"),  # a diphthong is near its beginning
        ("hWs", "Ws", "Wsk"),  # an h is lost easily
    ],
)
def test_order_of_distances(a, nearer, further):
    assert 0 < distance(a, nearer) < distance(a, further)


@given(sounds, sounds, sounds)
@settings(max_examples=100, deadline=None)
def test_it_is_symmetric_and_zero_for_the_same_sound(a, b, c):
    assert distance(a, a) == 0
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-5)
    # One table for several pairs gives the same as one for each.
    together = distances([a, b, a], [b, c, c])
    assert together == pytest.approx([distance(a, b), distance(b, c), distance(a, c)], abs=1e-5)


@given(st.lists(sounds, max_size=12), st.lists(sounds, max_size=12), st.floats(0, 3))
@settings(max_examples=100, deadline=None)
def test_no_pair_within_the_bound_is_missed(a, b, most):
    i, j, found = pairs_within(a, b, most)
    expected = {(x, y) for x in range(len(a)) for y in range(len(b)) if _within(a[x], b[y], most)}
    assert expected <= set(zip(i.tolist(), j.tolist(), strict=True))
    assert (found <= most + 1e-4).all()
    assert np.allclose(found, [distance(a[x], b[y]) for x, y in zip(i, j, strict=True)], atol=1e-5)


def _within(a: str, b: str, most: float) -> bool:
    return distance(a, b) <= most - 1e-5


def test_the_dictionary_reads_words_names_and_inventions():
    pytest.importorskip("hibari", reason="needs hibari-tts")
    words = dictionary()
    assert words.word("light") == "lIt"
    assert words.word("write") == words.word("right")
    assert pronounce("turn on", words) == words.word("turn") + words.word("on")
    assert words.word("zbignok")
    assert words.is_guess("zbignok")
    assert not words.is_guess("light")
    assert words.word("7") == words.word("seven")
