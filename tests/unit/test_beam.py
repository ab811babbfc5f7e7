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
from support import GOLDEN, RATE, SPOKEN, logits_of, speech

from ds2edge.runtime import EndpointRules, Listener, Recognizer
from ds2edge.runtime.decoding import beam
from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.decoding.language_model import START, UNKNOWN
from ds2edge.runtime.decoding.prefix import Prefix, total_probability
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.ngrams import estimate

ALPHABET = ("", " ", "a", "b")
# Pieces that begin a word, end one, do both or neither.
PIECES = ("", " ", "a", "b", "ab", " a", "b ", "a b")
SENTENCES = ["ab a", "ab ab b", "b a", "a b ab", "ab a"]
SEARCHES = {
    "acoustics alone": {},
    "language model": {"language_model": estimate(SENTENCES)},
    "hot words": {"hotwords": ["ba", "a b"]},
    "both": {"language_model": estimate(SENTENCES, order=2), "hotwords": ["ba", "a b"]},
}


def score_of(fusion: Fusion, text: str) -> float:
    """The score that fusion adds to a whole text."""
    state = fusion.start
    for word in text.split():
        state = fusion.end_word(functools.reduce(fusion.add_letters, word, state))
    return state.finished_score


def text_of_prefix(prefix: Prefix) -> str:
    return "".join(part.word for part in reversed(prefix.lineage())).strip()


def probabilities_of_all_texts(
    logits: np.ndarray, alphabet: tuple[str, ...], blank_factor: float
) -> dict[str, float]:
    """The probability of each text, summed over all paths, with a factor for each blank."""
    probabilities = np.exp(logits, dtype=np.float64)
    probabilities /= probabilities.sum(-1, keepdims=True)
    probabilities[:, 0] *= blank_factor
    total: dict[str, float] = defaultdict(float)
    for path in itertools.product(range(len(alphabet)), repeat=len(logits)):
        merged = "".join(alphabet[symbol] for symbol, _ in itertools.groupby(path))
        total[" ".join(merged.split())] += np.prod(probabilities[np.arange(len(path)), path])
    return total


def shares(probabilities: dict[str, float]) -> dict[str, float]:
    """Probabilities that sum to 1."""
    total = sum(probabilities.values())
    return {text: p / total for text, p in probabilities.items()}


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data(), spread=st.floats(0.1, 2.0))
def test_a_wide_beam_has_all_texts_and_finds_the_best(search, alphabet, seed, data, spread):
    steps = data.draw(st.integers(0, 6 if alphabet == ALPHABET else 4))
    logits = (spread * np.random.default_rng(seed).standard_normal((steps, len(alphabet)))).astype(
        np.float32
    )
    fusion = Fusion(**SEARCHES[search]).spelled_in(alphabet)
    assert (fusion.blank_factor == 1) == (search == "acoustics alone")
    expected = probabilities_of_all_texts(logits, alphabet, fusion.blank_factor)
    decoder = BeamDecoder(alphabet, 0.02, fusion, beam=100_000)
    with patch.multiple(beam, MIN_PROBABILITY=0.0, BEAM_MARGIN=math.inf, ACOUSTIC_MARGIN=math.inf):
        decoder.accept(logits)
    found = {
        text_of_prefix(ended): total_probability(prefixes)
        for ended, prefixes in decoder._by_ended_prefix().items()
    }
    assert shares(found) == pytest.approx(shares(expected), abs=1e-6)
    scores = {text: np.log(p) + score_of(fusion, text) for text, p in expected.items()}
    assert scores[decoder.text()] == pytest.approx(max(scores.values()), abs=1e-9)
    best = decoder.alternatives(5)
    found_scores = [alternative.score for alternative in best]
    texts = [" ".join(word.text for word in alternative.words) for alternative in best]
    assert len(set(texts)) == len(texts) == min(5, len(scores))
    assert found_scores == pytest.approx(sorted(scores.values(), reverse=True)[:5], abs=1e-5)
    assert found_scores == pytest.approx([scores[text] for text in texts], abs=1e-5)


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=25, deadline=None)
@example(seed=5, cuts=list(range(300)))
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_any_chunking_gives_the_same_words(search, alphabet, seed, cuts):
    """30 s with pauses, so that words become final. Asking for words on the way changes nothing."""
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
    assert parts.alternatives(3) == whole.alternatives(3)
    assert all(word.text and " " not in word.text and word.start < word.end for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


@pytest.mark.parametrize("alphabet", [ALPHABET, PIECES])
@given(data=st.data())
def test_it_equals_greedy_decoding_where_the_network_is_sure(alphabet, data):
    """Words, times and confidence are the same, and so are pauses."""
    path = data.draw(st.lists(st.integers(0, len(alphabet) - 1), max_size=60))
    searched, greedy = BeamDecoder(alphabet, 0.1), GreedyDecoder(alphabet, 0.1)
    for decoder in (searched, greedy):
        decoder.accept(logits_of(path, alphabet, 15.0))
    assert searched.words() == greedy.words()


def test_improbable_texts_within_the_margin_are_kept():
    alphabet = ("", " ", "a", "b", "c", "d")
    probabilities = np.full((2, len(alphabet)), 1e-9)
    probabilities[0, [2, 3]] = 0.994, 0.006
    probabilities[1, [4, 5]] = 0.9, 0.1
    decoder = BeamDecoder(alphabet, 0.1)
    decoder.accept(np.log(probabilities).astype(np.float32))
    scores = {words[0].text: score for words, score in decoder.alternatives(9)}
    expected = {"ac": 0.994 * 0.9, "ad": 0.994 * 0.1, "bc": 0.006 * 0.9, "bd": 0.006 * 0.1}
    assert scores == pytest.approx({text: np.log(p) for text, p in expected.items()}, abs=1e-5)


def test_two_spellings_of_a_text_share_one_prefix():
    """The likeliest text is "ab", spelled in two ways. The likeliest single spelling is "b"."""
    probabilities = np.full((2, len(PIECES)), 1e-9)
    probabilities[0, [PIECES.index("a"), PIECES.index("ab"), 0]] = 0.35, 0.25, 0.4
    probabilities[1, [PIECES.index("b"), 0]] = 0.6, 0.4
    decoder = BeamDecoder(PIECES, 0.1)
    decoder.accept(np.log(probabilities).astype(np.float32))
    # Probabilities: b 0.24, ab 0.21 + 0.1, abb 0.15, a 0.14.
    assert decoder.text() == "ab"
    assert sorted(map(text_of_prefix, decoder._beam)) == ["", "a", "ab", "abb", "b"]


def test_all_paths_of_a_text_count():
    """As in Graves 2012, figure 7.4: the best path is blank, but the best text is "a"."""
    logits = np.log(np.array([[0.6, 1e-9, 0.4, 1e-9]] * 2, np.float32))
    greedy, searched = GreedyDecoder(ALPHABET, 0.02), BeamDecoder(ALPHABET, 0.02)
    greedy.accept(logits)
    searched.accept(logits)
    assert (greedy.text(), searched.text()) == ("", "a")


def test_a_pause_ends_a_word():
    """The pause is 8 steps of 0.1 s, as in greedy decoding."""
    decoder = BeamDecoder(ALPHABET, 0.1)
    decoder.accept(logits_of([2] + [0] * 7 + [3] + [0] * 8 + [2], ALPHABET))
    assert [(word.text, word.start) for word in decoder.words()] == [("ab", 0.0), ("a", 1.7)]


def test_a_letter_begins_where_most_of_its_probability_comes_in():
    logits = logits_of([0, 0, 0, 2, 2, 0, 1], ALPHABET)
    logits[0, 2] = 4
    decoder = BeamDecoder(ALPHABET, 0.1)
    decoder.accept(logits)
    (word,) = decoder.words()
    assert (word.start, word.end) == (0.3, 0.5)


def test_probabilities_do_not_underflow_in_minutes_of_doubt():
    decoder = BeamDecoder(ALPHABET, 0.1, beam=4)
    decoder.accept(
        np.concatenate(
            [np.zeros((3000, len(ALPHABET)), np.float32), logits_of([1, 2, 0, 3, 1], ALPHABET)]
        )
    )
    word = decoder.words()[-1]
    assert (word.text, word.start) == ("ab", 300.1)


LETTERS = ("", " ", *"abcdefghijklmnopqrstuvwxyz", "'")


def spoken(text: str, doubts: dict[int, str] | None = None) -> np.ndarray:
    """Logits that spell `text`, with a blank after each letter.

    `doubts`: for some positions, another letter that is nearly as probable.
    """
    path = [symbol for letter in text for symbol in (LETTERS.index(letter), 0)]
    logits = logits_of(path, LETTERS, 12.0)
    for place, letter in (doubts or {}).items():
        logits[2 * place, LETTERS.index(letter)] = 11.5
    return logits


def text_of(logits: np.ndarray, beam: int = 16, **options) -> str:
    decoder = BeamDecoder(LETTERS, 0.04, Fusion(**options), beam)
    decoder.accept(logits)
    return decoder.text()


def test_the_language_model_decides_where_the_network_doubts():
    model = estimate(["turn on the light", "turn off the light", "the night is long"])
    logits = spoken("turn on the night", {12: "l"})
    assert text_of(logits) == "turn on the night"
    assert text_of(logits, language_model=model) == "turn on the light"
    assert text_of(spoken("the night is"), language_model=model) == "the night is"


def test_words_that_the_language_model_lacks_can_still_be_recognised():
    model = estimate(["turn on the light", "turn off the light"])
    assert text_of(spoken("turn on the quux"), language_model=model) == "turn on the quux"


@pytest.mark.parametrize("with_model", [False, True])
def test_hot_words_win_where_the_network_doubts_and_cost_nothing_elsewhere(with_model):
    model = (
        {"language_model": estimate(["in the kitten", "the living broom"])} if with_model else {}
    )
    logits = spoken("the kithen", {7: "c"})
    assert text_of(logits, **model, hotwords=["kitcen"]) == "the kitcen"
    # It counts before it is complete, or a beam of 1 would lose it.
    assert text_of(logits, beam=1, hotwords=["kitcen"]) == "the kitcen"
    logits = spoken("the living boom", {11: "r"})
    assert text_of(logits, **model, hotwords=["living room"]) == "the living room"
    # A hot word that begins but is never completed loses its advance.
    logits = spoken("the living boom", {12: "a"})
    assert text_of(logits, hotwords=["living baaaaaar"]) == "the living boom"


SUBWORDS = (*LETTERS, " k", "it", "ch", "en", " kit", "tch", "n ")


@pytest.mark.parametrize(
    "spelling", [[" k", "it", "ch", "en"], [" ", "k", "i", "tch", "en"], [" kit", "ch", "e", "n "]]
)
@pytest.mark.parametrize("with_model", [False, True])
def test_an_improbable_piece_is_tried_if_a_hot_word_needs_it(spelling, with_model):
    """At the third symbol of the hot word the network is almost sure of another one."""
    model = (
        {"language_model": estimate(["in the kitten", "the living broom"])} if with_model else {}
    )
    path = [
        index
        for symbol in ["t", "h", "e", *spelling, " ", "i", "n"]
        for index in (SUBWORDS.index(symbol), 0)
    ]
    logits = logits_of(path, SUBWORDS, 12.0)
    logits[10, SUBWORDS.index("a")] = 12.0 + 6.0
    for hotwords, recognised in (
        (["the kitchen"], True),
        (["the kitchen in", "kit"], True),
        (["kit"], False),
        ([], False),
    ):
        decoder = BeamDecoder(SUBWORDS, 0.04, Fusion(hotwords=hotwords, **model))
        decoder.accept(logits)
        assert (decoder.text() == "the kitchen in") is recognised


@pytest.mark.parametrize(
    ("phrase", "prefix", "symbol", "continues"),
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
def test_continuations_begin_continue_or_complete_a_hot_word(phrase, prefix, symbol, continues):
    symbols = ["", *phrase, symbol]
    fusion = Fusion(hotwords=[phrase]).spelled_in(symbols)
    word, space, _ = prefix.partition(" ")
    state = fusion.add_letters(fusion.start, word) if word else fusion.start
    state = fusion.end_word(state) if space else state
    assert (len(symbols) - 1 in fusion.hotwords.continuations(state.match)) is continues


@pytest.mark.parametrize(
    ("alphabet", "symbols"),
    [
        (LETTERS, 7),
        (SUBWORDS, 3),  # " kit" "ch" "en"
        ((*LETTERS, "kitche"), 2),
        ((*LETTERS, " kitch", "ten", "en "), 2),
    ],
)
def test_a_hot_word_counts_the_symbols_of_its_shortest_spelling(alphabet, symbols):
    """It does not matter how the network spells it."""
    fusion = Fusion(hotwords=["kitchen"], weights=Weights(hotword=1.0)).spelled_in(alphabet)
    assert score_of(fusion, "the kitchen") == symbols
    advances = [
        functools.reduce(fusion.add_letters, "kitchen"[:end], fusion.start).score
        for end in range(1, 8)
    ]
    assert advances == sorted(advances)
    assert advances[-1] == min(symbols, 4)


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
def test_a_complete_hot_word_counts_its_letters(text, letters):
    assert score_of(Fusion(hotwords=["ba", "a b"], weights=Weights(hotword=1.0)), text) == letters


def test_an_open_word_counts_as_the_best_that_it_may_become():
    model = estimate(["the night is near", "the night"])
    weights = Weights(0.5, 1.0, unknown_word=-4.0, hotword=1.0)
    fusion = Fusion(model, ["quux"], weights)
    known = functools.reduce(fusion.add_letters, "nig", fusion.start)
    unknown = functools.reduce(fusion.add_letters, "nix", fusion.start)
    hot = functools.reduce(fusion.add_letters, "qu", fusion.start)
    assert known.score == pytest.approx(0.5 * model.best_completion("nig", (START,)) + 1)
    assert unknown.score == pytest.approx(0.5 * model.log_probability((), UNKNOWN) + 1 - 4)
    assert hot.score == pytest.approx(0.5 * model.log_probability((), UNKNOWN) + 1 + 2)
    # A finished word counts in full, given the words before it.
    expected = 0.5 * model.log_probability((START,), UNKNOWN) + 1 + 4
    assert score_of(fusion, "quux") == pytest.approx(expected)
    assert score_of(fusion, "quxx") == pytest.approx(expected - 4 - 4)


def test_memory_is_bounded_and_final_words_stay(monkeypatch):
    """Otherwise two texts that stay equally probable would be kept from where they differ."""
    monkeypatch.setattr(beam, "MAX_OPEN_SECONDS", 1.0)
    rng = np.random.default_rng(1)
    decoder = BeamDecoder(ALPHABET, 0.1, beam=8)
    deepest = longest = 0
    for _ in range(60):
        piece = rng.standard_normal((10, len(ALPHABET))).astype(np.float32)
        piece[::3, 1] += 4
        before = decoder._words.copy()
        decoder.accept(piece)
        assert decoder._words[: len(before)] == before
        deepest = max(deepest, *(len(prefix.lineage()) for prefix in decoder._beam))
        longest = max(longest, *(len(prefix.emissions()) for prefix in decoder._beam))
    assert len(decoder.words()) > 50
    assert max(deepest, longest) <= 30


def test_uniform_probabilities_of_many_symbols_are_decoded():
    """Each of the 256 symbols is less probable than MIN_PROBABILITY."""
    decoder = BeamDecoder(("", *map(chr, range(1000, 1255))), 0.1)
    decoder.accept(np.zeros((20, 256), np.float32))
    assert decoder.words()


def test_take_can_divide_a_piece():
    decoder = BeamDecoder(PIECES, 0.1, beam=4)
    decoder.accept(logits_of([4, 0, 6, 7, 7], PIECES, 12.0))  # "ab" "b " "a b"
    assert [(word.text, word.start, word.end) for word in decoder.take(open_word=False)] == [
        ("abb", 0.0, 0.3),
        ("a", 0.3, 0.5),
    ]
    assert [(word.text, word.start) for word in decoder.words()] == [("b", 0.3)]
    decoder.accept(logits_of([0, 4, 5], PIECES, 12.0))  # "ab" " a"
    assert [(word.text, word.start, word.end) for word in decoder.take()] == [
        ("bab", 0.3, 0.7),
        ("a", 0.7, 0.8),
    ]


def test_take_returns_and_drops_the_words():
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
    with pytest.raises(InputError, match="hot word '': it is empty"):
        Fusion(hotwords=["ab", ""])


@pytest.fixture(scope="module")
def recognizer():
    fusion = Fusion(estimate([*SPOKEN, "play the music", "turn up the radio"]), ["seven one"])
    return Recognizer(GOLDEN, decoder=functools.partial(BeamDecoder, fusion=fusion))


def test_a_recognizer_uses_the_beam(recognizer):
    for text, path in SPOKEN.items():
        assert recognizer.transcribe(path).text == text


def test_a_listener_uses_the_beam_with_any_block_size(recognizer):
    results = []
    for pieces in (3, 100):
        listener = Listener(recognizer, EndpointRules())
        utterances = [
            u for block in np.array_split(speech(), pieces) for u in listener.accept(block, RATE)
        ]
        results.append([utterance.words for utterance in utterances + listener.finish()])
    assert results[0] == results[1]
    assert [" ".join(word.text for word in words) for words in results[0]] == list(SPOKEN)


def test_evaluate_uses_the_beam_and_reports_it(ds2edge, tmp_path):
    lm = tmp_path / "lm.ds2lm"
    lm.write_bytes(estimate(SPOKEN).to_bytes())
    manifest = tmp_path / "manifest.jsonl"
    lines = [
        {"audio": str(path), "text": text, "duration": 2.0, "split": "test"}
        for text, path in SPOKEN.items()
    ]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    options = ("--lm", lm, "--hotwords", "Radio,close  the", "--beam", "8")
    done = ds2edge("evaluate", "-m", GOLDEN, manifest, "--json", *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["overall"]["wer"] == 0
    assert "; beam of 8, language model of 11 words (weight " in result["engine"]
    assert result["engine"].endswith("), 2 hot words")
