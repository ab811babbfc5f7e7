"""Phrases: the grammar, its automaton, the graph over a model's symbols, and the search in it."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import GOLDEN, RATE, SPOKEN

from ds2edge.runtime import Recognizer
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.false_accepts import least_confidence, upper_bound
from ds2edge.runtime.model_file import network_checksum
from ds2edge.runtime.phrases.decoder import BONUS, PhraseDecoder
from ds2edge.runtime.phrases.grammar import (
    SAID,
    Choice,
    Grammar,
    Intent,
    Sequence,
    Slot,
    Text,
    Value,
)
from ds2edge.runtime.phrases.graph import Graph
from ds2edge.runtime.phrases.letters import Letters
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.phrases.templates import read_grammar

ALPHABET = ("", " ", "a", "b", "ab", " a", "a b")
HOUSE = """
intents:
  Light:
    data:
      - sentences: ["turn (on|off) [the] {room} light[s]", "[please;turn on] {room}"]
  Volume:
    data:
      - sentences: ["[<set>] volume [to] {volume}"]
        slots: {domain: media}
expansion_rules:
  set: "(set|change)"
lists:
  room:
    values:
      - kitchen
      - {in: "(living room|lounge)", out: living_room}
  volume:
    range: {from: 0, to: 20, step: 5}
"""


def texts(expression, lists):
    """All that an expression says, spaces as they stand."""
    if isinstance(expression, Text):
        return {expression.text}
    if isinstance(expression, Slot):
        return set().union(*(texts(value.said, lists) for value in lists[expression.list_name]))
    parts = [texts(item, lists) for item in expression.items]
    if isinstance(expression, Choice):
        return set().union(*parts)
    return {"".join(said) for said in itertools.product(*parts)}


def sentences(grammar):
    said = [texts(s, grammar.lists) for intent in grammar.intents for s in intent.sentences]
    return {" ".join(text.split()) for text in set().union(*said)} - {""}


def language(letters):
    """All that an automaton says, and the weight of each."""
    said = {}

    def go(state, text, weight):
        if letters.final[state] > -np.inf:
            said[text] = weight + letters.final[state]
        for arc in np.flatnonzero(letters.sources == state):
            letter = letters.labels[letters.label_ids[arc]]
            go(letters.targets[arc], text + letter, weight + letters.weights[arc])

    go(0, "", 0.0)
    return said


expressions = st.recursive(
    st.text("ab ", max_size=4).map(Text) | st.just(Slot("list", "slot")),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda items: st.sampled_from([Sequence(tuple(items)), Choice(tuple(items))])
    ),
    max_leaves=6,
)
grammars = st.builds(
    lambda sentences, values: Grammar(
        [Intent(str(n), (s,)) for n, s in enumerate(sentences)],
        {"list": [Value(Text(v), SAID) for v in values]},
    ),
    st.lists(expressions, min_size=1, max_size=3),
    st.lists(st.text("ab ", max_size=3), min_size=1, max_size=3),
)


@settings(deadline=None, max_examples=200)
@given(grammars)
def test_the_automaton_says_what_the_grammar_says(grammar):
    expected = sentences(grammar)
    if not expected:
        with pytest.raises(InputError, match="no phrase is left"):
            Letters.of(grammar)
        return
    said = language(Letters.of(grammar))
    assert {text.strip() for text in said} == expected
    assert all(text == text.lstrip() and "  " not in text for text in said)
    for text in expected:
        assert grammar.match(text), text


@settings(deadline=None, max_examples=100)
@given(grammars)
def test_a_grammar_is_kept_whole(grammar):
    kept = Grammar.from_dict(json.loads(json.dumps(grammar.to_dict())))
    assert (kept.intents, kept.lists) == (grammar.intents, grammar.lists)


def test_no_two_states_say_the_same():
    """The rooms before "light" and before "fan" are two copies; each is as small as can be."""
    words = ["kitchen", "chicken", "bathroom", "bedroom"]
    letters = Letters.of(Grammar.of(words))
    rest = [
        frozenset(
            (letters.labels[letters.label_ids[a]], letters.targets[a])
            for a in np.flatnonzero(letters.sources == state)
        )
        for state in range(len(letters.final))
    ]
    assert len(set(rest)) == len(rest)
    assert set(language(letters)) == set(words)


def test_weights_add_up_and_stand_at_the_first_letter_that_tells():
    grammar = Grammar(
        [Intent("often", (Text("turn on"),)), Intent("rare", (Text("turn off"),), weight=-2.0)], {}
    )
    letters = Letters.of(grammar)
    said = language(letters)
    assert said["turn on"] == 0
    assert said["turn off"] == pytest.approx(-2)
    (arc,) = np.flatnonzero(letters.weights)
    assert letters.labels[letters.label_ids[arc]] == "f"


def best_by_brute_force(phrases, logits, alphabet):
    """The best CTC path of all spellings of all phrases: score and text."""
    scores = logits - logits.max(-1, keepdims=True)
    best = (-math.inf, "")
    for path in itertools.product(range(len(alphabet)), repeat=len(logits)):
        symbols = [s for s, _ in itertools.groupby(path) if s]
        text = "".join(alphabet[s] for s in symbols)
        if text.lstrip() in phrases:
            score = sum(scores[t, s] for t, s in enumerate(path)) + BONUS * len(symbols)
            best = max(best, (score, text.lstrip()))
    return best


@settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 10_000), st.sets(st.sampled_from(["a", "ab", "a b", "aa", "b ab"]), min_size=1)
)
def test_the_decoder_finds_the_best_path_of_all(seed, phrases):
    logits = 3 * np.random.default_rng(seed).standard_normal((5, len(ALPHABET))).astype(np.float32)
    decoder = Phrases.of(*phrases, min_confidence=0.0)(ALPHABET, 0.08)
    decoder.accept(logits)
    score, text = best_by_brute_force(phrases, logits, ALPHABET)
    best = decoder._best(final=True)
    if text:
        assert best[0] == pytest.approx(score, abs=1e-4)
        assert " ".join(word.text for word in decoder.take()) in phrases
    else:
        assert best is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 20), max_size=12))
def test_any_chunking_gives_the_same_words(seed, cuts):
    logits = 3 * np.random.default_rng(seed).standard_normal((60, len(ALPHABET))).astype(np.float32)
    phrases = Phrases.of("a b", "ab ab ab", "b a b a", min_confidence=0.0)

    def words(pieces):
        decoder = phrases(ALPHABET, 0.08)
        for piece in pieces:
            decoder.accept(piece)
        return decoder.words(), decoder.take()

    assert words(np.split(logits, np.minimum(np.cumsum(cuts), 60))) == words([logits])


def test_memory_stays_bounded_in_a_stream_without_end(monkeypatch):
    monkeypatch.setattr("ds2edge.runtime.phrases.decoder.MOST_TRACES", 200)
    long = "a b " * 50, "ab " * 50
    phrases = Phrases.of(*map(str.strip, long), min_confidence=0.0)
    decoder = phrases(ALPHABET, 0.08)
    plain = phrases(ALPHABET, 0.08)
    logits = np.random.default_rng(0).standard_normal((1500, len(ALPHABET))).astype(np.float32)
    decoder.accept(logits)
    monkeypatch.setattr("ds2edge.runtime.phrases.decoder.MOST_TRACES", 10**9)
    plain.accept(logits)
    assert decoder._record.size < 400 < 1000 < plain._record.size
    assert decoder.words() == plain.words() != []
    assert decoder.take() == plain.take()


def test_what_is_no_phrase_is_rejected_and_what_is_one_is_not():
    phrases = Phrases.of("a b a b")
    said = logits_of([" a", " ", "b", " ", "a", " ", "b"])
    decoder = phrases(ALPHABET, 0.08)
    decoder.accept(said)
    assert [word.text for word in decoder.take()] == ["a", "b", "a", "b"]
    decoder.accept(logits_of(["b", "ab", "ab", "ab", "a"]))
    assert decoder.words()
    assert decoder.take() == []
    decoder.accept(said)  # and it begins anew
    assert [word.text for word in decoder.take()] == ["a", "b", "a", "b"]


def logits_of(symbols):
    """Logits of a network that is sure of these symbols, with a blank after each."""
    rows = []
    for symbol in symbols:
        for index in (ALPHABET.index(symbol), 0):
            rows.append(np.where(np.arange(len(ALPHABET)) == index, 12.0, 0.0))
    return np.array(rows, np.float32)


@settings(deadline=None, max_examples=50)
@given(st.sets(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=30))
def test_the_letters_that_are_enough_follow_from_all_phrases(phrases):
    looseness = math.log(sum(math.exp(-0.3 * len(phrase)) for phrase in phrases))
    enough = Letters.of(Grammar.of(sorted(phrases))).enough()
    assert enough == pytest.approx(max(0.0, 6 * (looseness - 2)), abs=1e-3)


def test_only_letters_count_and_unlikely_phrases_count_for_less(monkeypatch):
    monkeypatch.setattr("ds2edge.runtime.phrases.letters.SAFE_NATS", -9.0)

    def enough(text, weight=0.0, wildcard=False):
        rest = Slot("any", "note") if wildcard else Text("")
        likely = Intent("", (Text("ba"),))
        other = Intent("", (Sequence((Text(text), rest)),), {}, weight)
        return Letters.of(Grammar([likely, other], {"any": None})).enough()

    assert enough("a") > enough("aa") > enough("aaa") > 0
    assert enough("a ") == enough("a") == enough("a ", wildcard=True)
    assert enough("a") > enough("a", weight=-0.5)


def test_a_short_phrase_of_many_needs_clearer_speech():
    alphabet = (*ALPHABET, "x")
    graph = Graph.of(Letters.of(Grammar.of(["ab a", "ab a ab ab ab"])), alphabet)

    def said(symbols, clear, enough_letters):
        logits = logits_of(symbols)
        other = np.full((len(logits), 1), 0 if clear else 13.5, np.float32)
        other[1::2] = 0  # the blanks
        decoder = PhraseDecoder(graph, alphabet, 0.08, 0.2, lambda text: None, None, enough_letters)
        decoder.accept(np.hstack([logits, other]))
        return [word.text for word in decoder.take()]

    short, long = ["ab", " a"], ["ab", " a", " ", "ab", " ", "ab", " ", "ab"]
    assert said(short, clear=True, enough_letters=100) == ["ab", "a"]
    assert said(short, clear=False, enough_letters=0) == ["ab", "a"]
    assert said(short, clear=False, enough_letters=3) == ["ab", "a"]
    assert said(short, clear=False, enough_letters=9) == []
    assert said(long, clear=False, enough_letters=9) == ["ab", "a", "ab", "ab", "ab"]


def test_where_the_network_hears_only_blanks_nothing_was_said():
    decoder = Phrases.of("ab a")(ALPHABET, 0.08)
    logits = logits_of(["ab", " a"])
    logits[:, 0] = 12.5  # half a nat more likely than the symbols
    decoder.accept(logits)
    assert decoder.words()[0].confidence > 0.5
    assert decoder.take() == []
    logits[0, 0] = 0
    decoder.accept(logits)
    assert [word.text for word in decoder.take()] == ["ab", "a"]


@pytest.fixture
def house(tmp_path):
    pytest.importorskip("hassil", reason="hassil is not installed (the extra `phrases`)")
    path = tmp_path / "house.yaml"
    path.write_text(HOUSE)
    return path


def test_templates_say_what_they_say_and_mean_what_they_mean(house):
    phrases = Phrases.load(house)
    assert phrases.meaning("turn off the lounge lights").slots == {"room": "living_room"}
    assert phrases.meaning("turn on please kitchen").slots == {"room": "kitchen"}
    found = phrases.meaning("set volume to fifteen")
    assert (found.intent, found.slots) == ("Volume", {"domain": "media", "volume": 15})
    assert phrases.meaning("turn the kitchen light") is None
    assert phrases.meaning("turn on the kitchenlight") is None


def test_a_compiled_file_is_the_same(house, tmp_path):
    phrases = Phrases.load(house)
    phrases.save(tmp_path / "house.ds2ph")
    compiled = Phrases.load(tmp_path / "house.ds2ph")
    for name, array in phrases.letters.arrays().items():
        np.testing.assert_array_equal(array, compiled.letters.arrays()[name])
    for text in sentences(phrases.grammar):
        assert compiled.meaning(text) == phrases.meaning(text) is not None


@pytest.mark.parametrize("size", range(0, 900, 90))
def test_a_compiled_file_that_is_cut_short_is_refused(tmp_path, size):
    path = tmp_path / "x.ds2ph"
    Phrases.of("turn on", "turn off").save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"x\.ds2ph: not made by `ds2edge phrases compile`"):
        Phrases.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": np.array([1, 99], np.int32)},
        {"label_ids": np.array([0, 9], np.uint8)},
        {"weights": np.array([0, np.nan], np.float32)},
        {"final": np.zeros((2, 2), np.float32)},
        {"sources": np.zeros(1, np.int32)},
        {"sources": np.zeros(2, np.float64)},
    ],
)
def test_arrays_that_are_no_automaton_are_refused(change):
    letters = Phrases.of("a").letters
    arrays = {name: np.resize(array, 2) for name, array in letters.arrays().items()}
    Letters.from_arrays(letters.labels, arrays)
    with pytest.raises(ValueError, match=r"its arrays|an arc|a weight"):
        Letters.from_arrays(letters.labels, arrays | change)


def test_a_compiled_slot_must_name_a_list(house):
    content = Phrases.load(house).grammar.to_dict()
    Grammar.from_dict(content)
    del content["lists"]["room"]
    with pytest.raises(KeyError, match="room"):
        Grammar.from_dict(content)


def test_how_a_word_is_said_may_hold_a_backslash(house):
    house.write_text(house.read_text() + 'says: {kitchen: "kit\\\\exen"}\n')
    assert "turn on kit exen light" in sentences(Phrases.load(house).grammar)


def test_a_text_file_holds_a_phrase_a_line(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("# lights\nTurn ON, the light!\n\nCafé O\u2019Neill\n")
    assert sentences(read_grammar(path)) == {"turn on the light", "cafe o'neill"}


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("[<set>] volume", "<sat> volume"), 8, "there is no expansion rule 'sat'"),
        (("{volume}", "{loudness}"), 8, "there is no list 'loudness'"),
        (('set: "(set|change)"', 'set: "<set> up"'), 11, "expansion rule 'set' leads to itself"),
        (('"[<set>] volume [to] {volume}"', '"[?]"'), 8, "can be said"),
        (('"[<set>] volume [to] {volume}"', '"turn (on"'), 8, "'turn (on'"),
        (("step: 5", "step: zero"), 8, "is no range"),
        (("to: 20", "to: 2000000"), 8, "10000 at most"),
        (("  Volume:\n    data:", "  Volume:\n    date:"), 6, "intent 'Volume' needs `data:`"),
        (("  room:\n", "\troom:\n"), 13, "not YAML"),
        (("      - kitchen", '      - "{room} two"'), 15, "list 'room' leads to itself"),
        (("slots: {domain: media}", "slots: [media]"), 1, "'slots' must be a mapping"),
        (("slots: {domain: media}", "metadata: {weight: .inf}"), 8, "must be a number above 0"),
        (("to: 20", f"to: 1{400 * '0'}"), 8, "is no range"),
        (("step: 5", "multiplier: [2]"), 8, "is no range"),
        (("- kitchen", f"- room 1{400 * '0'}"), 15, "use words"),
        (("lists:", "says: {tv: {t: v}}\nlists:"), 12, "says 'tv': give words"),
    ],
)
def test_a_fault_is_named_with_its_line(house, change, line, says):
    text = house.read_text()
    assert change[0] in text
    house.write_text(text.replace(*change))
    with pytest.raises(InputError) as error:
        Phrases.load(house)
    assert str(error.value).startswith(f"{house}:{line}: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_letter_that_the_model_lacks_is_named_with_its_line(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("ab\na b\nabba zoo\n")
    with pytest.raises(InputError, match=r"phrases\.txt:3: the model has no symbol for 'o'"):
        Phrases.load(path)(ALPHABET, 0.08)


def test_every_spelling_of_a_word_is_in_the_graph():
    letters = Letters.of(Grammar.of(["ab a"]))
    graph = Graph.of(letters, ALPHABET)
    decoder = PhraseDecoder(graph, ALPHABET, 0.08, 0.1, lambda text: None)
    for symbols in (["ab", " a"], ["a", "b", " ", "a"], [" a", "b", " a"], [" ", "ab", " ", "a"]):
        decoder.accept(logits_of(symbols))
        words = decoder.take()
        assert [word.text for word in words] == ["ab", "a"]
        assert words[0].confidence > 0.9, symbols


@pytest.mark.parametrize(
    "symbols", [["ab", " a", "b", "b", " ", "b"], ["a", "b", " ", "a", "b", "b", " ", "b"]]
)
def test_a_wildcard_takes_any_words(symbols):
    grammar = Grammar(
        [Intent("note", (Sequence((Text("ab "), Slot("any", "note"), Text(" b"))),))], {"any": None}
    )
    phrases = Phrases(grammar, Letters.of(grammar))
    decoder = phrases(ALPHABET, 0.08)
    decoder.accept(logits_of(symbols))
    text = " ".join(word.text for word in decoder.take())
    assert text == "ab abb b"
    assert phrases.meaning(text).slots == {"note": "abb"}
    decoder.accept(logits_of(["ab", " ", "b"]))
    assert decoder.take() == []  # a wildcard holds at least one word


def test_the_words_of_a_wildcard_come_from_another_decoder():
    """Its logits are those of the wildcard alone, and its times those of the stream."""
    grammar = Grammar(
        [Intent("note", (Sequence((Text("ab "), Slot("any", "note"), Text(" b"))),))], {"any": None}
    )
    decoded = []

    class Shout(GreedyDecoder):
        def accept(self, logits):
            decoded.append((self._steps, logits.argmax(-1).tolist()))
            super().accept(logits)

        def take(self, open_word=True):
            words = super().take(open_word)
            return [replace(word, text=word.text.upper()) for word in words]

    phrases = Phrases(grammar, Letters.of(grammar)).with_free_text(Shout)
    decoder = phrases(ALPHABET, 0.08)
    plain = Phrases(grammar, Letters.of(grammar))(ALPHABET, 0.08)
    logits = logits_of(["ab", " a", "b", "b", " ", "b"])
    for offset in (0, 12):  # in a second utterance, too
        decoder.accept(logits)
        plain.accept(logits)
        expected = plain.take()
        assert decoder.text() == "ab abb b"  # partial text has no other decoder
        words = decoder.take()
        assert [word.text for word in words] == ["ab", "ABB", "b"]
        assert [word.start for word in words] == [word.start for word in expected]
        assert decoded.pop() == (offset + 1, [0, 5, 0, 3, 0, 3, 0])
    with pytest.raises(InputError, match="have no wildcard"):
        Phrases.of("a b").with_free_text(GreedyDecoder)


def test_a_plain_phrase_has_no_meaning_and_is_spelled_as_the_model_does():
    phrases = Phrases.of("Turn ON, the light!")
    assert sentences(phrases.grammar) == {"turn on the light"}
    assert phrases.meaning("turn on the light") is None


def test_a_wildcard_alone_can_be_kept(tmp_path):
    grammar = Grammar([Intent("note", (Slot("any", "note"),))], {"any": None})
    Phrases(grammar, Letters.of(grammar)).save(tmp_path / "x.ds2ph")
    assert Phrases.load(tmp_path / "x.ds2ph").letters.labels == "\0"


def test_the_values_of_a_list_are_replaced(house):
    phrases = Phrases.load(house).with_values("room", {"Wine cellar": 7})
    assert phrases.meaning("turn on the wine cellar light").slots == {"room": 7}
    assert phrases.meaning("turn on the kitchen light") is None
    assert "wine cellar" in " ".join(language(phrases.letters))
    with pytest.raises(InputError, match="have no list 'rooms'"):
        phrases.with_values("rooms", ["attic"])


def test_words_that_are_said_in_another_way(house):
    house.write_text(HOUSE.replace("kitchen", "TV room") + "says: {TV: tee vee, set: adjust}\n")
    phrases = Phrases.load(house)
    assert phrases.meaning("turn on the tee vee room light") is not None
    assert phrases.meaning("turn on the tv room light") is None
    assert phrases.meaning("adjust volume five") is not None


def test_a_hundred_may_have_an_and(house):
    house.write_text(HOUSE.replace("to: 20", "to: 200"))
    phrases = Phrases.load(house)
    for number in ("one hundred five", "one hundred and five"):
        assert phrases.meaning(f"volume {number}").slots["volume"] == 105
    assert phrases.meaning("volume one hundred and") is None


def test_a_loop_of_lists_is_refused(house):
    house.write_text(HOUSE.replace("      - kitchen", '      - "{room} again"'))
    with pytest.raises(InputError, match=r"house\.yaml:\d+: list 'room' leads to itself"):
        Phrases.load(house)


def test_too_many_states_are_refused(monkeypatch):
    monkeypatch.setattr("ds2edge.runtime.phrases.letters.MOST_STATES", 5)
    with pytest.raises(InputError, match="need more than 5 states"):
        Phrases.of("turn on", "turn off")


def test_phrases_change_between_utterances():
    recognizer = Recognizer(GOLDEN, phrases=Phrases.of("turn down the radio"))
    clip = SPOKEN["seven one two five"]
    assert recognizer.transcribe(clip).text == ""
    recognizer.phrases = Phrases.of("seven one two five")
    assert recognizer.transcribe(clip).text == "seven one two five"
    with pytest.raises(InputError, match="no symbol for"):
        recognizer.phrases = Phrases.of("дверь")
    assert recognizer.transcribe(clip).text == "seven one two five"


@pytest.mark.parametrize("near", ["turn up the radio", "turn down the heating", "seven one two"])
def test_near_phrases_are_no_phrases(near):
    """Listed: phrases that differ from what is said in a word."""
    recognizer = Recognizer(GOLDEN, phrases=Phrases.of(near))
    for clip in SPOKEN.values():
        assert recognizer.transcribe(clip).text == ""


def test_silence_and_noise_say_nothing():
    recognizer = Recognizer(GOLDEN, phrases=Phrases.of("yes", "no", "stop"))
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    for sound in (np.zeros(10 * RATE, np.float32), 0.01 * noise, 0.2 * noise):
        assert recognizer.transcribe(sound, RATE).text == ""


def test_the_command_compiles_and_sets_the_confidence(ds2edge, tmp_path):
    (tmp_path / "p.txt").write_text("turn down the radio\nopen the door\n")
    clips = [path for text, path in SPOKEN.items() if "radio" not in text]
    speech = [word for path in clips for word in ("--other-speech", path)]
    output = tmp_path / "p.ds2ph"
    done = ds2edge("phrases", "compile", tmp_path / "p.txt", "-o", output, "-m", GOLDEN, *speech)
    assert done.returncode == 0, done.stderr
    assert "0 false accepts" in done.stdout
    assert "states" in done.stdout
    compiled = Phrases.load(output)
    assert 0 <= compiled.min_confidence < 1
    assert compiled.calibrated_for == network_checksum(GOLDEN)
    recognizer = Recognizer(GOLDEN, phrases=compiled)
    assert [recognizer.transcribe(path).text for path in clips] == [""] * len(clips)
    assert recognizer.transcribe(SPOKEN["turn down the radio"]).text == "turn down the radio"


def test_a_rate_of_false_accepts_needs_speech_to_count_them_in(ds2edge, tmp_path):
    (tmp_path / "p.txt").write_text("turn down the radio\n")
    output = tmp_path / "p.ds2ph"
    done = ds2edge("phrases", "compile", tmp_path / "p.txt", "-o", output, "--reject-at", 0.5)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--reject-at needs --other-speech" in done.stderr
    assert not output.exists()


def test_the_command_takes_a_least_confidence_instead(ds2edge, tmp_path):
    (tmp_path / "p.txt").write_text("turn down the radio\n")
    output = tmp_path / "p.ds2ph"
    command = ("phrases", "compile", tmp_path / "p.txt", "-o", output, "--min-confidence", 0.4)
    done = ds2edge(*command)
    assert done.returncode == 0, done.stderr
    compiled = Phrases.load(output)
    assert (compiled.min_confidence, compiled.calibrated_for) == (0.4, "")
    output.unlink()
    done = ds2edge(*command, "--other-speech", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "both set the confidence: give one" in done.stderr
    assert not output.exists()


def test_what_cannot_be_compiled_leaves_no_file(ds2edge, tmp_path):
    (tmp_path / "p.txt").write_text("# nothing\n")
    done = ds2edge("phrases", "compile", tmp_path / "p.txt", "-o", tmp_path / "p.ds2ph")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "has no phrase" in done.stderr
    assert not (tmp_path / "p.ds2ph").exists()


def test_the_least_confidence_lets_no_more_through_than_allowed():
    found = [0.5, 0.2, 0.2, 0.1]
    for allowed in range(6):
        least = least_confidence(found, allowed)
        assert sum(confidence >= least for confidence in found) <= allowed
    assert least_confidence(found, 0) == pytest.approx(0.5001)
    assert upper_bound(0, 2.0) == pytest.approx(1.5, rel=0.02)
