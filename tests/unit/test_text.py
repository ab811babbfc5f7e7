"""The text normaliser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.train.data.text import LETTERS, normalise


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


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("the 1980s, the '60s", "the nineteen eighties the sixties"),
        (
            "in 1914 and 2019, not 2007",
            "in nineteen fourteen and twenty nineteen not two thousand and seven",
        ),
        (
            "$3.20, \u00a31, 99\u20ac and $0.05",
            "three dollars twenty one pound ninety nine euros and five cents",
        ),
        ("50\u00a2 and 1 \u00a2", "fifty cents and one cent"),
        ("at 6.05pm or 12.30 a.m.", "at six oh five p m or twelve thirty a m"),
        ("1\u20442 and 3\u20444", "half and three quarters"),
        ("$2.5 million", "two point five million dollars"),
        ("12.5% of 30 %", "twelve point five percent of thirty percent"),
        ("the 3rd, 22ND", "the third twenty second"),
        (
            "at 7:45, 6:05 am, 9:00 and 4pm",
            "at seven forty five six oh five a m nine o'clock and four p m",
        ),
        ("2\u00bd cups, \u00bc cup", "two and a half cups a quarter of a cup"),
        ("3/4 of 1 1/2 hours", "three quarters of one and a half hours"),
        ("-7 or .25", "minus seven or point two five"),
        (
            "25\u00a0000 people, 1 234 567",
            "twenty five thousand people one million two hundred and thirty four "
            "thousand five hundred and sixty seven",
        ),
        ("can\u00b4t, O\u2032Neill, rock \uff07n\uff07 roll", "can't o'neill rock n roll"),
        (
            "\u0141ukasz, S\u00f8ren, Gro\u00dfe, \u00c6gir, \u0110or\u0111e",
            "lukasz soren grosse aegir dorde",
        ),
    ],
)
def test_numbers_are_spelled_as_spoken_and_letters_lose_accents(written, said):
    normalised = normalise(written)
    assert normalised.text == said
    assert set(normalised.dropped) <= {","}


def test_dropped_characters_are_counted():
    assert normalise("a & b & c \u65e5!").dropped == {"&": 2, "\u65e5": 1, "!": 1}
    assert not normalise("plain words").dropped


@given(st.text())
def test_the_result_has_only_the_alphabet_and_normalising_it_again_changes_nothing(text):
    once = normalise(text).text
    assert set(once) <= set(LETTERS)
    assert once == " ".join(once.split())
    assert normalise(once).text == once
