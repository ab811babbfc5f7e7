"""The wake phrase: heard anywhere in other speech, and nothing is decoded before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import GOLDEN, RATE, speech

from ds2edge.runtime import EndpointRules, InputError, Listener, Phrases, Recognizer, Wake
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.phrases.wake import WakeDecoder

ALPHABET = ("", " ", "a", "b", "ab", " a", "a b")
STEP = 0.08


def logits_of(*symbols: str) -> np.ndarray:
    """Logits of a network that is sure of these symbols."""
    rows = [np.where(np.arange(len(ALPHABET)) == ALPHABET.index(s), 12.0, 0.0) for s in symbols]
    return np.array(rows, np.float32)


def decoder(wakes, phrase="ab a"):
    wake = Phrases.of(phrase, min_confidence=0.5)
    return WakeDecoder(GreedyDecoder(ALPHABET, STEP), wake, ALPHABET, STEP, wakes.append)


def test_only_what_follows_the_wake_phrase_is_decoded():
    wakes: list[Wake] = []
    waiting = decoder(wakes)
    waiting.accept(logits_of("b", "", "b", " ", "b", "", "b"))
    assert (wakes, waiting.words(), waiting.empty) == ([], [], True)
    waiting.accept(logits_of(" ", "ab", "", " a", "", ""))
    (wake,) = wakes
    assert (wake.text, wake.start, wake.end) == ("ab a", 8 * STEP, 11 * STEP)
    assert wake.confidence > 0.9
    waiting.accept(logits_of("b", "", "a", ""))
    assert [(word.text, word.start) for word in waiting.take()] == [
        ("ba", pytest.approx(13 * STEP))
    ]
    waiting.accept(logits_of("b", "", "a", ""))  # idle again
    assert (waiting.words(), waiting.take()) == ([], [])
    waiting.accept(logits_of("ab", " a", "", "b"))
    assert wakes[1].start == pytest.approx(21 * STEP)
    assert waiting.text() == "b"


def test_the_phrase_may_begin_at_any_step_and_be_spelled_in_any_way():
    for before in range(12):
        for spelling in (["ab", " a"], ["a", "b", " ", "a"], ["a b"]):
            wakes: list[Wake] = []
            phrase = "a b" if spelling == ["a b"] else "ab a"
            decoder(wakes, phrase).accept(logits_of(*["b", ""] * before, *spelling, "", ""))
            assert [wake.text for wake in wakes] == [phrase], (before, spelling)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 80), max_size=8))
def test_any_chunking_wakes_at_the_same_time(seed, cuts):
    logits = 4 * np.random.default_rng(seed).standard_normal((80, len(ALPHABET))).astype(np.float32)

    def heard(pieces):
        wakes: list[Wake] = []
        waiting = decoder(wakes, "a b")
        for piece in pieces:
            waiting.accept(piece)
        return wakes, waiting.take()

    assert heard(np.split(logits, sorted(cuts))) == heard([logits])


def test_a_listener_returns_one_utterance_after_each_wake_phrase():
    wakes: list[Wake] = []
    recognizer = Recognizer(GOLDEN)
    wake = Phrases.of("turn down the radio", min_confidence=0.3)
    listener = Listener(recognizer, EndpointRules(idle=4), wake=wake, on_wake=wakes.append)
    found = []
    for block in np.array_split(np.concatenate([speech(), speech()]), 97):
        found += [(utterance.text, len(wakes)) for utterance in listener.accept(block, RATE)]
    found += [(utterance.text, len(wakes)) for utterance in listener.finish()]
    assert found == [("seven one two five", 1), ("seven one two five", 2)]


def test_a_listener_that_waits_keeps_no_sound():
    listener = Listener(Recognizer(GOLDEN), EndpointRules(idle=1.0), wake="open the garage door")
    for block in np.array_split(np.tile(speech(), 3), 60):
        listener.accept(block, RATE)
        assert listener.duration - listener._recent._first / RATE < 2.5
    assert listener.finish() == []


def test_a_wake_phrase_must_be_one_that_the_model_can_spell():
    with pytest.raises(InputError, match="the model has no symbol for"):
        Listener(Recognizer(GOLDEN), wake="дверь")
