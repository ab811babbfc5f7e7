"""Advice about phrases."""

from __future__ import annotations

import pytest
from words import COFFEE, Letters, names, templates

from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.words.advice import (
    ALIKE,
    ANYTHING,
    CONTAINED,
    GUESSED,
    KINDS,
    NO_SOUND,
    SAME_SOUND,
    TOO_SHORT,
    advise,
)


def of_kind(phrases, kind):
    """The phrases that advice of a kind is about."""
    return [advice.phrases for advice in advise(phrases, Letters()) if advice.kind == kind]


def test_good_phrases_need_none():
    assert advise(Phrases.of("turn the lamp on", "close every window"), Letters()) == []


def test_short_phrases():
    assert of_kind(Phrases.of("stop", "off"), TOO_SHORT) == [("off",)]


def test_phrases_that_sound_alike_or_the_same():
    phrases = Phrases.of("open the bag", "open the bak", "open the pack", "call kay", "call cay")
    assert of_kind(phrases, SAME_SOUND) == [("call kay", "call cay")]
    assert ("open the bag", "open the bak") in of_kind(phrases, ALIKE)
    assert of_kind(Phrases.of("open the bag", "close every window"), ALIKE) == []


def test_values_that_sound_alike_count_only_if_they_mean_different_things(tmp_path):
    text = """
intents: {Go: {data: [{sentences: ["please go {place}"]}]}}
lists: {place: {values: [{in: "(bak|bag)", out: 1}, {in: bat, out: %d}]}}
"""
    assert of_kind(templates(tmp_path, text % 1), ALIKE) == []
    assert ("bak", "bat") in of_kind(templates(tmp_path, text % 2), ALIKE)


def test_sentences_of_two_intents_that_sound_alike(tmp_path):
    text = """
intents:
  A: {data: [{sentences: ["[please] open the {room} bag"]}]}
  B: {data: [{sentences: ["open the {room} bak"]}]}
lists: {room: {values: [kitchen, attic]}}
"""
    found = of_kind(templates(tmp_path, text), ALIKE)
    assert len(found) == 1
    assert {sentence.split()[-1] for sentence in found[0]} == {"bag", "bak"}


def test_a_phrase_in_another():
    phrases = Phrases.of("light", "light the oven", "start the light")
    found = [str(advice) for advice in advise(phrases, Letters()) if advice.kind == CONTAINED]
    assert any("beginning of 'light the oven'" in line for line in found)
    assert any("end of 'start the light'" in line for line in found)


def test_a_value_in_another_but_not_in_numbers(tmp_path):
    assert of_kind(names(tmp_path, 3), CONTAINED) == []
    text = """
intents: {Call: {data: [{sentences: ["please call {name}"]}]}}
lists: {name: {values: [helen, helen mary]}}
"""
    assert of_kind(templates(tmp_path, text), CONTAINED) == [("helen",)]


def test_a_wildcard_that_takes_everything(tmp_path):
    text = """
intents: {Note: {data: [{sentences: ["%s{message}"]}]}}
lists: {message: {wildcard: true}}
"""
    assert len(of_kind(templates(tmp_path, text % ""), ANYTHING)) == 1
    assert of_kind(templates(tmp_path, text % "please note down "), ANYTHING) == []


def test_words_without_a_pronunciation():
    assert of_kind(Phrases.of("open the жук"), NO_SOUND) == [("жук",)]


def test_500_names():
    """It must not be slow: there are 125,000 pairs."""
    ends = "bdfgklmnprstvz"
    words = [f"{a}{b}{c}imo{d}" for a in ends for b in "aeiou" for c in ends for d in "kn"][:500]
    advice = advise(Phrases.of(*words), Letters())
    assert {one.kind for one in advice} <= {ALIKE, SAME_SOUND}
    assert [one.kind for one in advice] == sorted((o.kind for o in advice), key=KINDS.index)
    assert any(set(one.phrases) == {"babimok", "bapimok"} for one in advice)


def test_real_words_with_the_dictionary():
    pytest.importorskip("hibari", reason="needs hibari-tts")
    phrases = Phrases.of("write it down", "right it down", "set it to fifteen", "set it to fifty")
    lines = [str(advice) for advice in advise(phrases)]
    assert any("'right it down'" in line and "sound the same" in line for line in lines)
    assert any("'set it to fifty'" in line and "sound alike" in line for line in lines)
    guessed = [
        advice for advice in advise(Phrases.of("open the zbignok")) if advice.kind == GUESSED
    ]
    assert [advice.phrases for advice in guessed] == [("zbignok",)]
    assert {advice.kind for advice in advise(Phrases.load(COFFEE))} <= {GUESSED}
