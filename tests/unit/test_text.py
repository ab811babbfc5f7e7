"""The text normaliser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.train.text import LETTERS, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn ON the light!", "turn on the light"),
        ("It\u2019s 5 o'clock", "it's five o'clock"),
        ("'quoted' words", "quoted words"),
        ("21 dogs, 1,234 cats", "twenty one dogs one thousand two hundred and thirty four cats"),
        ("the 21st of May", "the twenty first of may"),
        ("3.14", "three point one four"),
        ("agent 007", "agent zero zero seven"),
        ("caf\u00e9 na\u00efve", "cafe naive"),
        ("1,2,3", "one two three"),
        ("well-known\tfacts\n", "well known facts"),
        ("9" * 40, " ".join(["nine"] * 40)),
        ("\u65e5\u672c\u8a9e", ""),
        ("", ""),
    ],
)
def test_normalise(text, expected):
    assert normalise(text).text == expected


def test_it_tells_what_it_dropped():
    assert normalise("a & b & c \u65e5!").dropped == {"&": 2, "\u65e5": 1, "!": 1}
    assert not normalise("plain words").dropped


@given(st.text())
def test_only_the_alphabet_is_left_and_a_second_time_changes_nothing(text):
    once = normalise(text).text
    assert set(once) <= set(LETTERS)
    assert once == " ".join(once.split())
    assert normalise(once).text == once
