"""The sentences that a recogniser of one's own words is trained on."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import COFFEE, Letters, names, templates

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.grammar import Choice, Grammar, Intent, Sequence, Slot, Text, Value
from ds2edge.runtime.phrases.letters import Letters as Compiled
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.words import sentences
from ds2edge.train.words.automaton import Automaton
from ds2edge.train.words.near import NearMisses
from ds2edge.train.words.sampling import Sampler, ways
from ds2edge.train.words.sentences import (
    CARRIER,
    KINDS,
    NEAR,
    OTHER,
    PART,
    PHRASE,
    enough_lines,
    held_out_lines,
    split_of,
    training_lines,
)

WILD = """
intents:
  Note: {data: [{sentences: ["remind me to {message}", "note {message} [please]"]}]}
  Stop: {data: [{sentences: ["(stop;it) (now|at once)"]}]}
lists:
  message: {wildcard: true}
"""


NUMBERED = [f"{a}{b}" for a in "abdefghilm" for b in "nopqrtuvwy"]


@pytest.fixture(autouse=True)
def _letters_are_sounds(monkeypatch):
    monkeypatch.setattr(sentences, "dictionary", Letters)


def draw(phrases, count, seed=1, wildcard=None):
    sampler = Sampler(phrases.grammar, random.Random(seed), wildcard)
    return [sampler.sentence() for _ in range(count)]


def value_counts(texts, phrases, slot):
    return Counter((phrases.grammar.match(text) or ("", {}))[1].get(slot) for text in texts)


def test_all_values_and_templates_come_before_one_comes_often(tmp_path):
    phrases = names(tmp_path, 500)
    sampler = Sampler(phrases.grammar, random.Random(1))
    texts = [sampler.sentence() for _ in range(sampler.size)]
    people = value_counts(texts, phrases, "name")
    assert len(people.keys() - {None}) == 500
    volumes = value_counts(texts, phrases, "volume")
    assert set(range(101)) <= volumes.keys()
    intents = Counter(phrases.grammar.match(text)[0] for text in texts)
    assert min(intents.values()) > len(texts) / 5
    assert sum(text in ("louder please", "please louder") for text in texts) > len(texts) / 8
    # Every option of a choice, and the permutation both ways round.
    words = Counter(word for text in texts for word in text.split())
    assert abs(words["call"] - words["ring"]) <= 1
    assert abs(words["louder"] / 2 - sum(t == "louder please" for t in texts)) <= 1


def test_values_are_covered_evenly(tmp_path):
    phrases = names(tmp_path, 20)
    people = value_counts(draw(phrases, 3000), phrases, "name")
    del people[None]
    assert len(people) == 20
    assert max(people.values()) <= min(people.values()) + 3


@pytest.mark.parametrize("phrases", [Phrases.load(COFFEE), Phrases.of("lumos", "nox")])
def test_every_sentence_is_a_phrase(phrases):
    assert all(phrases.grammar.match(text) for text in draw(phrases, 300))


def test_a_value_inside_a_value_is_said(tmp_path):
    phrases = templates(
        tmp_path,
        """
intents: {Add: {data: [{sentences: ["add [(some|{amount})] milk"]}]}}
lists:
  amount: {values: ["{number} litres", "a lot of"]}
  number: {range: {from: 1, to: 30}}
""",
    )
    texts = draw(phrases, 70)
    numbers = {text.removeprefix("add ").removesuffix(" litres milk") for text in texts}
    assert {"one", "seventeen", "thirty"} <= numbers
    assert len(numbers) >= 30


def test_ways_are_the_first_ones():
    two = Choice((Text("a "), Text("b ")))
    assert ways(Sequence((two, two, Slot("x", "x"))), {"x": [Value(Text("c"), 1)]}, 3) == [
        "a a c",
        "a b c",
        "b a c",
    ]
    assert ways(Slot("x", "x"), {"x": None}, 3) == []


expressions = st.recursive(
    st.sampled_from([Text("a"), Text("b "), Text(" a"), Text(""), Slot("x", "x"), Slot("w", "w")]),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda items: st.sampled_from([Choice(tuple(items)), Sequence(tuple(items))])
    ),
    max_leaves=6,
)


@given(st.lists(expressions, min_size=1, max_size=3), st.text("ab ", max_size=9))
@settings(max_examples=300, deadline=None)
def test_the_automaton_accepts_what_the_grammar_matches(said, text):
    lists = {"x": [Value(Text("ab"), 1), Value(Text("b a"), 2)], "w": None}
    grammar = Grammar([Intent("i", tuple(said))], lists)
    text = " ".join(text.split())
    try:
        automaton = Automaton(Compiled.of(grammar))
    except InputError:  # nothing can be said
        return
    assert automaton.accepts(text) == bool(text and grammar.match(text))


def test_words_of_a_grammar(tmp_path):
    phrases = templates(tmp_path, WILD)
    assert Automaton(phrases.letters).words() == {
        *("remind", "me", "to", "note", "please", "stop", "it", "now", "at", "once")
    }


@given(
    st.lists(st.text("abdeilnost", min_size=1, max_size=6), min_size=1, max_size=12),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_near_miss_is_no_phrase_and_sounds_different(words, seed):
    """Words of a small language of one's own, so that many changes lead to phrases."""
    phrases = Phrases.of(*words, *map(" ".join, itertools.pairwise(words)))
    automaton = Automaton(phrases.letters)
    pool = ["a", "at", "bat", "bad", "lit", "lid", "sand", "stand", "note", "tone", *words]
    near = NearMisses(automaton, Letters(), pool)
    own = {Letters().word(word) for word in automaton.words()}
    rng = random.Random(seed)
    for phrase in phrases.grammar.intents[0].sentences:
        miss = near.of(phrase.text, rng)
        if miss:
            assert not phrases.grammar.match(miss)
            new = set(miss.split()) - automaton.words()
            assert new <= set(pool)
            assert own.isdisjoint(map(Letters().word, new))


def test_near_misses_are_near():
    phrases = Phrases.of("turn on the light")
    near = NearMisses(Automaton(phrases.letters), Letters(), ("lied", "bright", "volume", "light"))
    assert near.near("light") == ["bright"] or near.near("light")[0] in ("lied", "bright")
    assert "light" not in near.near("light")
    assert "volume" not in near.near("light")


def test_shares_of_kinds_and_what_they_are():
    phrases = Phrases.load(COFFEE)
    lines = training_lines(phrases, 400, 3)
    assert len(lines) == 400
    counts = Counter(line.kind for line in lines)
    assert counts == {PHRASE: 200, PART: 40, CARRIER: 40, NEAR: 60, OTHER: 60}
    for line in lines:
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", line.text)
        assert bool(phrases.grammar.match(line.text)) == (line.kind == PHRASE)
        assert line.split == "train"
    general = set(sentences.general_speech())
    assert all(line.text in general for line in lines if line.kind == OTHER)
    # Any first part of the lines is a fair sample of them.
    assert set(KINDS) == {line.kind for line in lines[:60]}


def test_the_same_seed_gives_the_same_lines():
    phrases = Phrases.load(COFFEE)
    first = training_lines(phrases, 100, 5)
    assert first == training_lines(phrases, 100, 5)
    assert first != training_lines(phrases, 100, 6)


def test_held_out_speech_and_near_misses_are_in_no_other_split():
    phrases = Phrases.load(COFFEE)
    lines = [
        *training_lines(phrases, 200, 1),
        *held_out_lines(phrases, 100, 1),
        *held_out_lines(phrases, 100, 1, split="dev"),
    ]
    assert {line.split for line in lines} == {"train", "dev", "test"}
    kinds = Counter(line.kind for line in lines if line.split == "test")
    assert kinds == {PHRASE: 40, PART: 10, CARRIER: 10, NEAR: 20, OTHER: 20}
    for line in lines:
        if line.kind in (NEAR, OTHER):
            assert split_of(line.text) == line.split


def test_two_words_have_no_parts():
    lines = training_lines(Phrases.of("lumos", "nox"), 200, 1)
    counts = Counter(line.kind for line in lines)
    assert PART not in counts
    assert counts[PHRASE] == 120
    said = Counter(line.text for line in lines if line.kind == PHRASE)
    assert said == {"lumos": 60, "nox": 60}


def test_a_word_that_sounds_like_one_of_the_phrases_is_spelled_like_it():
    other = [f"the kat and the {word} {end}" for word in ("sun", "zun") for end in NUMBERED]
    lines = training_lines(Phrases.of("cat", "qat", "sun"), 200, 1, other)
    words = {word for line in lines for word in line.text.split()}
    assert {"cat", "qat", "sun", "zun"} <= words  # a phrase, and "zun" sounds like none
    assert "kat" not in words


def test_wildcards_are_filled_with_words_of_other_sentences(tmp_path):
    phrases = templates(tmp_path, WILD)
    other = [f"{a} {b} {c}" for a in ("ann", "bob", "cat") for b in "xyz" for c in "defghijkl"]
    lines = training_lines(phrases, 200, 1, other)
    assert len(lines) == 200
    words = {word for text in other for word in text.split()}
    filled = [line.text for line in lines if line.text.startswith("remind me to ")]
    assert len(filled) > 20
    assert {word for text in filled for word in text.split()[3:]} <= words
    assert all(bool(phrases.grammar.match(x.text)) == (x.kind == PHRASE) for x in lines)


def test_a_grammar_that_accepts_everything_has_phrases_alone(tmp_path):
    phrases = templates(
        tmp_path,
        """
intents: {Note: {data: [{sentences: ["{message}"]}]}}
lists: {message: {wildcard: true}}
""",
    )
    assert {line.kind for line in training_lines(phrases, 20, 1)} == {PHRASE}


def test_enough_lines_has_every_name(tmp_path):
    phrases = names(tmp_path, 60)
    lines = training_lines(phrases, enough_lines(phrases), 1)
    people = value_counts([x.text for x in lines if x.kind == PHRASE], phrases, "name")
    assert len(people.keys() - {None}) == 60


def test_words_are_said_as_says_tells(tmp_path):
    phrases = templates(
        tmp_path,
        """
intents: {TV: {data: [{sentences: ["the TV (on|off)"]}]}}
says: {TV: tee vee}
""",
    )
    lines = training_lines(phrases, 40, 1)
    assert {line.text for line in lines if line.kind == PHRASE} == {
        "the tee vee on",
        "the tee vee off",
    }


def test_too_little_general_speech_is_an_error():
    with pytest.raises(InputError, match="at least 100"):
        training_lines(Phrases.of("stop"), 10, 1, [])


def test_letters_that_no_model_has_are_an_error():
    with pytest.raises(InputError, match="letters a to z"):
        training_lines(Phrases.of("жук"), 10, 1)
