"""CTC prefix beam search, with and without a language model and hot words."""

import functools
import itertools
import json
import math
from collections import defaultdict
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import GOLDEN, RATE, SPOKEN, speech

from ds2edge.runtime import EndpointRules, Listener, Recognizer
from ds2edge.runtime.decoding import beam
from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.ctc import GreedyDecoder
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.language_model import START, UNKNOWN
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.ngrams import estimate

ALPHABET = ("", " ", "a", "b")
PIECES = (
    "",
    " ",
    "a",
    "b",
    "ab",
    " a",
    "b ",
    "a b",
)  # that begin a word, end one, do both or neither
SENTENCES = ["ab a", "ab ab b", "b a", "a b ab", "ab a"]
SEARCHES = {
    "acoustics alone": {},
    "language model": {"language_model": estimate(SENTENCES)},
    "hot words": {"hotwords": ["ba", "a b"]},
    "both": {"language_model": estimate(SENTENCES, order=2), "hotwords": ["ba", "a b"]},
}


def logits_of(
    path: list[int], margin: float = 9.0, alphabet: tuple[str, ...] = ALPHABET
) -> np.ndarray:
    logits = np.zeros((len(path), len(alphabet)), np.float32)
    logits[np.arange(len(path)), path] = margin
    return logits


def worth(fusion: Fusion, text: str) -> float:
    """What fusion adds to a whole text."""
    state = fusion.start
    for word in text.split():
        state = fusion.end_word(functools.reduce(fusion.letters, word, state))
    return state.settled


def spelled(text) -> str:
    """A text of the beam."""
    return "".join(part.word for part in reversed(beam._line(text))).strip()


def probabilities_of_all_texts(logits: np.ndarray, alphabet: tuple[str, ...]) -> dict[str, float]:
    """By enumeration of all paths: merge repeats, drop blanks, one space between words."""
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    total: dict[str, float] = defaultdict(float)
    for path in itertools.product(range(len(alphabet)), repeat=len(logits)):
        merged = "".join(alphabet[symbol] for symbol, _ in itertools.groupby(path))
        total[" ".join(merged.split())] += np.prod(probabilities[np.arange(len(path)), path])
    return total


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data(), spread=st.floats(0.1, 2.0))
def test_a_wide_beam_knows_all_texts_and_finds_the_best(search, alphabet, seed, data, spread):
    steps = data.draw(st.integers(0, 6 if alphabet == ALPHABET else 4))
    logits = (spread * np.random.default_rng(seed).standard_normal((steps, len(alphabet)))).astype(
        np.float32
    )
    fusion = Fusion(**SEARCHES[search]).spelled_in(alphabet)
    expected = probabilities_of_all_texts(logits, alphabet)
    decoder = BeamDecoder(alphabet, 0.02, fusion, beam=100_000)
    with patch.multiple(beam, LEAST=0.0, MARGIN=math.inf, SLACK=math.inf):
        decoder.accept(logits)
    ended = {end: sum(text.total for text in texts) for end, texts in decoder._ended().items()}
    found = {spelled(end): p for end, p in ended.items()}
    total = sum(found.values())
    assert {text: p / total for text, p in found.items()} == pytest.approx(expected, abs=1e-6)
    scores = {text: np.log(p) + worth(fusion, text) for text, p in expected.items()}
    assert scores[decoder.text()] == pytest.approx(max(scores.values()), abs=1e-9)


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=25, deadline=None)
@example(seed=5, cuts=list(range(300)))
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_any_chunking_gives_the_same_words(search, alphabet, seed, cuts):
    """30 s, with pauses: long enough for words to settle. Asking for words on the way changes nothing either."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((300, len(alphabet))).astype(np.float32)
    logits[:, 0] += 2 * np.repeat(rng.integers(0, 6, 20), 15)
    whole, parts = (
        BeamDecoder(alphabet, 0.1, Fusion(**SEARCHES[search]), beam=4) for _ in range(2)
    )
    whole.accept(logits)
    for part in np.split(logits, sorted(cuts)):
        parts.accept(part)
        parts.words()
    words = whole.words()
    assert words
    assert parts.words() == words
    assert all(word.text and " " not in word.text and word.start < word.end for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@given(data=st.data())
def test_where_the_network_is_sure_it_is_greedy(alphabet, data):
    """Words, times and confidence, pauses too."""
    path = data.draw(st.lists(st.integers(0, len(alphabet) - 1), max_size=60))
    searched, greedy = BeamDecoder(alphabet, 0.1), GreedyDecoder(alphabet, 0.1)
    for decoder in (searched, greedy):
        decoder.accept(logits_of(path, 15.0, alphabet))
    assert searched.words() == greedy.words()


def test_two_spellings_of_a_text_are_one_in_the_beam():
    """ "ab" in one piece or two letters is the likelier, though "b" is the likeliest spelling."""
    probabilities = np.full((2, len(PIECES)), 1e-9)
    probabilities[0, [PIECES.index("a"), PIECES.index("ab"), 0]] = 0.35, 0.25, 0.4
    probabilities[1, [PIECES.index("b"), 0]] = 0.6, 0.4
    decoder = BeamDecoder(PIECES, 0.1)
    decoder.accept(
        np.log(probabilities).astype(np.float32)
    )  # b: 0.24; ab: 0.21 + 0.1; abb: 0.15; a: 0.14
    assert decoder.text() == "ab"
    assert sorted(map(spelled, decoder._beam)) == ["", "a", "ab", "abb", "b"]


def test_all_paths_of_a_text_count_not_the_best_alone():
    """The example of Graves 2012, figure 7.4: the best path is blank, the best text is "a"."""
    logits = np.log(np.array([[0.6, 1e-9, 0.4, 1e-9]] * 2, np.float32))
    greedy, searched = GreedyDecoder(ALPHABET, 0.02), BeamDecoder(ALPHABET, 0.02)
    greedy.accept(logits)
    searched.accept(logits)
    assert (greedy.text(), searched.text()) == ("", "a")


def test_a_pause_ends_a_word():
    """0.8 s: 8 steps of 0.1 s, as greedily."""
    decoder = BeamDecoder(ALPHABET, 0.1)
    decoder.accept(logits_of([2] + [0] * 7 + [3] + [0] * 8 + [2]))
    assert [(word.text, word.start) for word in decoder.words()] == [("ab", 0.0), ("a", 1.7)]


def test_a_letter_is_where_most_of_its_probability_came_in():
    logits = logits_of([0, 0, 0, 2, 2, 0, 1])
    logits[0, 2] = 4
    decoder = BeamDecoder(ALPHABET, 0.1)
    decoder.accept(logits)
    (word,) = decoder.words()
    assert (word.start, word.end) == (0.3, 0.5)


def test_minutes_of_doubt_do_not_wear_the_probabilities_out():
    decoder = BeamDecoder(ALPHABET, 0.1, beam=4)
    decoder.accept(
        np.concatenate([np.zeros((3000, len(ALPHABET)), np.float32), logits_of([1, 2, 0, 3, 1])])
    )
    word = decoder.words()[-1]
    assert (word.text, word.start) == ("ab", 300.1)


LETTERS = ("", " ", *"abcdefghijklmnopqrstuvwxyz", "'")


def spoken(text: str, doubts: dict[int, str] | None = None) -> np.ndarray:
    """Logits that spell `text`, a blank after each letter; at `doubts` another letter is nearly as probable."""
    path = [symbol for letter in text for symbol in (LETTERS.index(letter), 0)]
    logits = logits_of(path, 12.0, LETTERS)
    for place, letter in (doubts or {}).items():
        logits[2 * place, LETTERS.index(letter)] = 11.5
    return logits


def text_of(logits: np.ndarray, beam: int = 16, **options) -> str:
    decoder = BeamDecoder(LETTERS, 0.04, Fusion(**options), beam)
    decoder.accept(logits)
    return decoder.text()


def test_the_language_model_decides_what_the_network_doubts():
    model = estimate(["turn on the light", "turn off the light", "the night is long"])
    logits = spoken("turn on the night", {12: "l"})
    assert text_of(logits) == "turn on the night"
    assert text_of(logits, language_model=model) == "turn on the light"
    assert text_of(spoken("the night is"), language_model=model) == "the night is"


def test_words_that_the_language_model_lacks_can_still_be_said():
    model = estimate(["turn on the light", "turn off the light"])
    assert text_of(spoken("turn on the quux"), language_model=model) == "turn on the quux"


@pytest.mark.parametrize("with_model", [False, True])
def test_hot_words_win_where_the_network_doubts_and_cost_nothing_elsewhere(with_model):
    model = (
        {"language_model": estimate(["in the kitten", "the living broom"])} if with_model else {}
    )
    logits = spoken("the kithen", {7: "c"})
    assert text_of(logits, **model, hotwords=["kitcen"]) == "the kitcen"
    assert (
        text_of(logits, beam=1, hotwords=["kitcen"]) == "the kitcen"
    )  # it counts before it is complete
    logits = spoken("the living boom", {11: "r"})
    assert text_of(logits, **model, hotwords=["living room"]) == "the living room"
    # Begun, but never completed: what it was given on the way is taken back.
    logits = spoken("the living boom", {12: "a"})
    assert text_of(logits, hotwords=["living baaaaaar"]) == "the living boom"


SUBWORDS = (*LETTERS, " k", "it", "ch", "en", " kit", "tch", "n ")


@pytest.mark.parametrize(
    "spelling", [[" k", "it", "ch", "en"], [" ", "k", "i", "tch", "en"], [" kit", "ch", "e", "n "]]
)
@pytest.mark.parametrize("with_model", [False, True])
def test_a_piece_that_a_hot_word_needs_is_followed_however_rare(spelling, with_model):
    """At its third symbol the network is all but sure of another."""
    model = (
        {"language_model": estimate(["in the kitten", "the living broom"])} if with_model else {}
    )
    path = [
        index
        for symbol in ["t", "h", "e", *spelling, " ", "i", "n"]
        for index in (SUBWORDS.index(symbol), 0)
    ]
    logits = logits_of(path, 12.0, SUBWORDS)
    logits[10, SUBWORDS.index("a")] = 12.0 + 6.0
    for hotwords, heard in (
        (["the kitchen"], True),
        (["the kitchen in", "kit"], True),
        (["kit"], False),
        ([], False),
    ):
        decoder = BeamDecoder(SUBWORDS, 0.04, Fusion(hotwords=hotwords, **model))
        decoder.accept(logits)
        assert (decoder.text() == "the kitchen in") is heard


@pytest.mark.parametrize(
    ("phrase", "said", "text", "wanted"),
    [
        ("living room", "", "li", True),
        ("living room", "", "room", False),
        ("living room", "a", " l", True),
        ("living room", "a", "l", False),
        ("living room", "liv", "ing r", True),
        ("living room", "liv", "ing ", True),
        ("living room", "liv", "ing k", False),
        ("living room", "living ", "room", True),
        ("living room", "living", " l", True),
        ("living", "livin", "g ", True),
        ("living", "living", " a", False),
        ("living", "living", "", False),
    ],
)
def test_what_a_hot_word_may_go_on_with(phrase, said, text, wanted):
    symbols = ["", *phrase, text]
    fusion = Fusion(hotwords=[phrase]).spelled_in(symbols)
    word, space, _ = said.partition(" ")
    state = fusion.letters(fusion.start, word) if word else fusion.start
    state = fusion.end_word(state) if space else state
    assert (len(symbols) - 1 in fusion.hotwords.wanted(state.match)) is wanted


@pytest.mark.parametrize(
    ("alphabet", "symbols"),
    [
        (LETTERS, 7),
        (SUBWORDS, 3),  # " kit" "ch" "en"
        ((*LETTERS, "kitche"), 2),
        ((*LETTERS, " kitch", "ten", "en "), 2),
    ],
)
def test_a_hot_word_is_worth_the_symbols_of_its_shortest_spelling(alphabet, symbols):
    """Each is one doubt that may have to be overcome; however it is spelled in the end."""
    fusion = Fusion(hotwords=["kitchen"], weights=Weights(hot=1.0)).spelled_in(alphabet)
    assert worth(fusion, "the kitchen") == symbols
    hopes = [
        functools.reduce(fusion.letters, "kitchen"[:end], fusion.start).score for end in range(1, 8)
    ]
    assert hopes == sorted(hopes)
    assert hopes[-1] == min(symbols, 4)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ba", 2),
        ("a b", 3),
        ("ba ba", 4),
        ("a a b", 3),
        ("a ba", 2),
        ("a b ba", 5),
        ("a", 0),
        ("b bab ab", 0),
    ],
)
def test_a_hot_word_is_worth_its_letters_once_complete(text, letters):
    assert worth(Fusion(hotwords=["ba", "a b"], weights=Weights(hot=1.0)), text) == letters


def test_an_open_word_counts_as_the_best_that_it_may_become():
    model, weights = (
        estimate(["the night is near", "the night"]),
        Weights(0.5, 1.0, unknown=-4.0, hot=1.0),
    )
    fusion = Fusion(model, ["quux"], weights)
    known = functools.reduce(fusion.letters, "nig", fusion.start)
    unknown = functools.reduce(fusion.letters, "nix", fusion.start)
    hot = functools.reduce(fusion.letters, "qu", fusion.start)
    assert known.score == pytest.approx(0.5 * model.best_completion("nig", (START,)) + 1)
    assert unknown.score == pytest.approx(0.5 * model.log_probability((), UNKNOWN) + 1 - 4)
    assert hot.score == pytest.approx(0.5 * model.log_probability((), UNKNOWN) + 1 + 2)
    # Once it is over it counts in full, after the words before it.
    expected = 0.5 * model.log_probability((START,), UNKNOWN) + 1 + 4
    assert worth(fusion, "quux") == pytest.approx(expected)
    assert worth(fusion, "quxx") == pytest.approx(expected - 4 - 4)


def test_memory_is_bounded_and_settled_words_stay(monkeypatch):
    """Two texts that stay equally probable for ever would else be kept back to their difference."""
    monkeypatch.setattr(beam, "SETTLED", 1.0)
    rng = np.random.default_rng(1)
    decoder = BeamDecoder(ALPHABET, 0.1, beam=8)
    deepest = longest = 0
    for _ in range(60):
        piece = rng.standard_normal((10, len(ALPHABET))).astype(np.float32)
        piece[::3, 1] += 4
        before = decoder._words.copy()
        decoder.accept(piece)
        assert decoder._words[: len(before)] == before
        deepest = max(deepest, *(len(beam._line(text)) for text in decoder._beam))
        longest = max(longest, *(len(beam._said(text.path)) for text in decoder._beam))
    assert len(decoder.words()) > 50
    assert max(deepest, longest) <= 30


def test_a_network_that_knows_nothing_of_many_symbols_is_no_trouble():
    """Each of 256 is less probable than what is followed otherwise."""
    decoder = BeamDecoder(("", *map(chr, range(1000, 1255))), 0.1)
    decoder.accept(np.zeros((20, 256), np.float32))
    assert decoder.words()


def test_take_gives_the_words_up_in_the_midst_of_a_piece():
    decoder = BeamDecoder(PIECES, 0.1, beam=4)
    decoder.accept(logits_of([4, 0, 6, 7, 7], 12.0, PIECES))  # "ab" "b " "a b"
    assert [(word.text, word.start, word.end) for word in decoder.take(open_word=False)] == [
        ("abb", 0.0, 0.3),
        ("a", 0.3, 0.5),
    ]
    assert [(word.text, word.start) for word in decoder.words()] == [("b", 0.3)]
    decoder.accept(logits_of([0, 4, 5], 12.0, PIECES))  # "ab" " a"
    assert [(word.text, word.start, word.end) for word in decoder.take()] == [
        ("bab", 0.3, 0.7),
        ("a", 0.7, 0.8),
    ]


def test_take_gives_the_words_up():
    decoder = BeamDecoder(LETTERS, 0.04, Fusion(language_model=estimate(["the light is on"])))
    assert decoder.empty
    decoder.accept(spoken("the light is"))
    assert not decoder.empty
    assert [word.text for word in decoder.take(open_word=False)] == ["the", "light"]
    assert decoder.text() == "is"
    assert [word.text for word in decoder.take()] == ["is"]
    assert decoder.empty
    decoder.accept(spoken("on"))
    (word,) = decoder.words()
    assert (word.text, word.start) == ("on", 24 * 0.04)


def test_a_hot_word_that_the_model_cannot_spell_is_named():
    with pytest.raises(InputError, match="'café': this model has no 'é'"):
        BeamDecoder(LETTERS, 0.02, Fusion(hotwords=["café"]))
    with pytest.raises(InputError, match="'baa': this model's symbols cannot spell it"):
        BeamDecoder(("", " ", "ab"), 0.02, Fusion(hotwords=["ab", "baa"]))


@pytest.fixture(scope="module")
def recognizer():
    fusion = Fusion(estimate([*SPOKEN, "play the music", "turn up the radio"]), ["seven one"])
    return Recognizer(GOLDEN, decoder=functools.partial(BeamDecoder, fusion=fusion))


def test_a_recognizer_searches(recognizer):
    for text, path in SPOKEN.items():
        assert recognizer.transcribe(path).text == text


def test_a_listener_searches_however_sound_is_cut(recognizer):
    heard = []
    for pieces in (3, 100):
        listener = Listener(recognizer, EndpointRules())
        found = [
            u for block in np.array_split(speech(), pieces) for u in listener.accept(block, RATE)
        ]
        heard.append([utterance.words for utterance in found + listener.finish()])
    assert heard[0] == heard[1]
    assert [" ".join(word.text for word in words) for words in heard[0]] == list(SPOKEN)


def test_evaluate_searches_and_says_so(ds2edge, tmp_path):
    lm = tmp_path / "lm.ds2lm"
    lm.write_bytes(estimate(SPOKEN).to_bytes())
    manifest = tmp_path / "manifest.jsonl"
    lines = [
        {"audio": str(path), "text": text, "duration": 2.0, "split": "test"}
        for text, path in SPOKEN.items()
    ]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    done = ds2edge(
        "evaluate",
        "-m",
        GOLDEN,
        manifest,
        "--json",
        "--lm",
        lm,
        "--hotwords",
        "Radio,close  the",
        "--beam",
        "8",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["overall"]["wer"] == 0
    assert "; beam of 8, language model of 11 words (weight " in result["engine"]
    assert result["engine"].endswith("), 2 hot words")
