"""Where utterances end, and that it does not depend on chunking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.endpoint import Endpointer, EndpointRules

ALPHABET = ("", " ", "a", "b")
STEP = 0.1  # seconds
RULES = EndpointRules(idle=2.0, silence=1.0, length=4.0)


def logits(path: str) -> np.ndarray:
    """Logits whose best symbol at each step is the character there; `_` is the blank."""
    best = [ALPHABET.index(symbol if symbol != "_" else "") for symbol in path]
    return np.eye(len(ALPHABET), dtype=np.float32)[best] * 10


def endpointer(rules: EndpointRules = RULES) -> Endpointer:
    return Endpointer(GreedyDecoder(ALPHABET, STEP), rules)


def utterances(path: str, rules: EndpointRules = RULES, last: bool = True) -> list[str]:
    cutter = endpointer(rules)
    cutter.accept(logits(path))
    return [" ".join(word.text for word in words) for words, *_ in cutter.take(last)]


def test_silence_after_words_ends_an_utterance():
    assert utterances("ab" + "_" * 9, last=False) == []
    assert utterances("ab" + "_" * 10, last=False) == ["ab"]
    assert utterances("ab a" + "_" * 10 + "b", last=False) == ["ab a"]
    assert utterances("ab" + "_" * 9 + "a") == ["ab a"]


def test_a_space_is_no_speech():
    assert utterances("ab" + "_" * 5 + " " + "_" * 4, last=False) == ["ab"]


def test_the_end_of_the_stream_ends_the_open_utterance_and_no_empty_one():
    assert utterances("ab") == ["ab"]
    assert utterances("_" * 100) == []
    assert utterances("ab" + "_" * 50) == ["ab"]


def test_idling_moves_the_start_so_that_the_length_counts_from_speech():
    cutter = endpointer()
    cutter.accept(logits("_" * 19))
    assert cutter.start == 0
    cutter.accept(logits("_"))
    assert cutter.start == pytest.approx(2.0)
    cutter.accept(logits("_" * 35))
    assert cutter.start == pytest.approx(4.0)  # not yet 6
    assert cutter.take() == []


def test_length_ends_an_utterance_between_words():
    # After 40 steps the fourteenth word is still open.
    assert utterances("ab " * 20, last=False) == [" ".join(["ab"] * 13)]
    assert utterances("ab " * 20) == [" ".join(["ab"] * 13), " ".join(["ab"] * 7)]


def test_a_word_without_end_is_cut_at_last():
    cut = utterances("ab" * 50)
    assert "".join(cut) == "ab" * 50
    assert [len(text) for text in cut] == [40, 40, 20]


def test_the_word_that_goes_to_the_next_utterance_is_where_that_one_starts():
    cutter = endpointer()
    cutter.accept(logits("a" + " b" * 18 + "_ a_b_a"))
    assert [word.text for words, *_ in cutter.take() for word in words] == ["a"] + ["b"] * 18
    assert cutter.start == pytest.approx(cutter.words()[0].start)


def test_times_are_those_of_the_stream():
    cutter = endpointer()
    cutter.accept(logits("_" * 30 + "ab" + "_" * 10 + "_" * 30 + "b" + "_" * 10))
    ((first,), decided, _), ((second,), *_) = cutter.take()
    assert decided == pytest.approx(4.2)
    assert (first.start, first.end) == (3.0, 3.2)
    assert (second.start, second.end) == (7.2, 7.3)


@pytest.mark.parametrize("rule", ["idle", "silence", "length"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_rule_of_no_time_is_refused(rule, value):
    with pytest.raises(ValueError, match=rule):
        EndpointRules(**{rule: value})


@given(path=st.text("ab_ ", max_size=200), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_chunking_gives_the_same_utterances(path, cuts):
    whole, pieces = endpointer(), endpointer()
    whole.accept(logits(path))
    found = []
    for piece in np.split(logits(path), sorted(cuts)):
        pieces.accept(piece)
        found += pieces.take()
    assert found + pieces.take(last=True) == whole.take(last=True)


@given(path=st.text("ab_ ", max_size=200))
def test_no_letter_is_lost_and_none_added(path):
    decoder = GreedyDecoder(ALPHABET, STEP)
    decoder.accept(logits(path))
    assert "".join(utterances(path)).replace(" ", "") == decoder.text().replace(" ", "")


def test_nothing_grows():
    cutter = endpointer()
    for _ in range(200):
        cutter.accept(logits("ab a" + "_" * 30))
        assert len(cutter.take()) == 1
        assert cutter.words() == []
