"""Mixing and pruning language models: `ds2edge lm build --mix, --tune, --size`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ARPA, probability, zipfian

from ds2edge.runtime.decoding.language_model import SPECIAL, START, UNKNOWN, LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model.arpa import read_arpa
from ds2edge.train.language_model.mixing import mix, tune
from ds2edge.train.language_model.ngrams import estimate, perplexity
from ds2edge.train.language_model.pruning import shrink


def histories(model: LanguageModel, seed: int) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(SPECIAL), len(model.vocabulary), (20, 3)).tolist()
    return [(), (START,), (UNKNOWN,), (START, UNKNOWN), *map(tuple, drawn)]


def total(model: LanguageModel, history: tuple[int, ...]) -> float:
    """The sum of the probabilities of all next words."""
    words = (word for word in range(len(model.vocabulary)) if word != START)
    return sum(math.exp(model.log_probability(history, word)) for word in words)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    orders=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    weight=st.floats(0, 1),
)
def test_a_mix_is_the_weighted_mean_of_its_parts(seed, orders, weight):
    parts = [
        estimate([*zipfian(seed + n), "only here" if n else "just there"], orders[n])
        for n in (0, 1)
    ]
    weights = [weight, 1 - weight]
    mixed = mix(parts, weights)
    for history in histories(mixed, seed):
        assert total(mixed, history) == pytest.approx(1, abs=1e-5)
    for text in zipfian(seed)[:20]:
        words = ["<s>", *text.split(), "</s>"]
        for end in range(2, len(words) + 1):  # n-grams that the first part has seen
            gram = words[max(0, end - orders[0]) : end]
            known = [part.id(gram[-1]) != UNKNOWN for part in parts]
            expected = sum(
                w * probability(part, *gram)
                for w, part, has in zip(weights, parts, known, strict=True)
                if has
            )
            assert probability(mixed, *gram) == pytest.approx(expected, rel=1e-4)


def test_a_mix_computed_by_hand():
    """The second model has `c` where the first has `b`. Otherwise they are equal."""
    parts = [estimate(["a b"] * 2, order=2), estimate(["a c"] * 2, order=2)]
    mixed = mix(parts, [0.25, 0.75])
    assert mixed.vocabulary == [*SPECIAL, "a", "b", "c"]
    assert probability(mixed, "b") == pytest.approx(0.25 * probability(parts[0], "b"))
    assert probability(mixed, "zzz") == pytest.approx(probability(parts[0], "zzz"))
    for words in (["a", "b"], ["<s>", "a"], ["b", "</s>"]):
        expected = 0.25 * probability(parts[0], *words)
        if words[1] != "b":
            expected += 0.75 * probability(parts[1], *words)
        assert probability(mixed, *words) == pytest.approx(expected)


def test_a_mix_with_a_weight_of_1_is_that_model():
    model = estimate(zipfian(3), order=3)
    mixed = mix([model, estimate(["other words"])], [1.0, 0.0])
    for text in zipfian(4)[:50]:
        words = ["<s>", *text.split()][-3:]
        assert probability(mixed, *words) == pytest.approx(probability(model, *words), rel=1e-4)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100))
def test_tuned_weights_are_the_best(seed):
    parts = [estimate(zipfian(seed)), estimate([f"w{n % 40} w{n % 7}" for n in range(300)])]
    text = zipfian(seed + 1, 40) + ["w3 w3", "w9 w2"] * 5
    weights = tune(parts, text)
    assert sum(weights) == pytest.approx(1)
    best = perplexity(mix(parts, weights), text)[0]
    for shift in (-0.1, 0.1):
        if 0 <= weights[0] + shift <= 1:
            other = mix(parts, [weights[0] + shift, weights[1] - shift])
            assert best < 1.01 * perplexity(other, text)[0]


def test_a_part_that_knows_no_word_of_the_text_gets_no_weight():
    text = zipfian(1, 50)
    assert tune([estimate(zipfian(0)), estimate(["quux quuz"])], text)[0] > 0.99
    with pytest.raises(InputError, match="no word that a source knows"):
        tune([estimate(["a b"], order=1)], [])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), order=st.integers(1, 4), share=st.floats(0.5, 1.1))
def test_a_smaller_model_fits_and_still_sums_to_one(seed, order, share):
    model = estimate(zipfian(seed), order)
    size = max(share * len(model.to_bytes()), 1 + len(estimate(zipfian(seed), 1).to_bytes()) + 900)
    smaller = shrink(model, size)
    assert len(smaller.to_bytes()) <= size
    assert smaller.vocabulary == model.vocabulary
    for history in histories(model, seed):
        assert total(smaller, history) == pytest.approx(1, abs=1e-5)


def test_the_ngrams_that_matter_least_are_dropped_first():
    """With 60 % of the file size the perplexity rises by less than 10 %."""
    text, held_out = zipfian(0, 4000), zipfian(1, 200)
    model = estimate(text, order=3)
    smaller = shrink(model, 0.6 * len(model.to_bytes()))
    assert sum(smaller.ngram_counts) < 0.75 * sum(model.ngram_counts)
    assert perplexity(smaller, held_out)[0] < 1.1 * perplexity(model, held_out)[0]
    assert shrink(model, 1e9) is model
    with pytest.raises(InputError, match="its 40 words alone take"):
        shrink(model, 10)


def test_build_mixes_text_and_models(ds2edge, tmp_path):
    (tmp_path / "a.txt").write_text("turn on the light\n" * 5)
    (tmp_path / "b.arpa").write_text(ARPA)
    (tmp_path / "dev.txt").write_text("turn on the light\nthe light\n")
    done = ds2edge("lm", "build", "a.txt", "b.arpa", "--mix", "1,3", "-o", "lm.ds2lm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "a.txt: weight 0.250, 4 words\nb.arpa: weight 0.750, 2 words\nlm.ds2lm: 0.00 MB"
    )
    mixed = LanguageModel.load(tmp_path / "lm.ds2lm")
    parts = estimate(["turn on the light"] * 5), read_arpa(tmp_path / "b.arpa")
    expected = 0.25 * probability(parts[0], "the", "light") + 0.75 * probability(
        parts[1], "the", "light"
    )
    assert probability(mixed, "the", "light") == pytest.approx(expected, rel=5e-2)
    options = ("--tune", "dev.txt", "--size", "1", "-o", "more.ds2lm")
    done = ds2edge("lm", "build", "lm.ds2lm", "a.txt", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on dev.txt, 0.00 % unknown words" in done.stdout


NOT_POSITIVE = "weights must be at least 0, and one must be above 0"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("a.txt", "b.arpa", "--mix", "0.5"), "--mix: 1 weights for 2 sources; give one for"),
        (("a.txt", "b.arpa", "--mix", "1,-1"), NOT_POSITIVE),
        (("a.txt", "b.arpa", "--mix", "0,0"), NOT_POSITIVE),
        (("a.txt", "b.arpa", "--mix", "nan,1"), NOT_POSITIVE),
        (
            ("a.txt", "b.arpa", "--mix", "1;1"),
            "give numbers with commas between them",
        ),
        (
            ("a.txt", "b.arpa", "--mix", "1,1", "--tune", "a.txt"),
            "--mix and --tune exclude each other",
        ),
        (
            ("a.txt", "b.arpa", "--tune", "none.txt"),
            "none.txt: cannot be read (No such file or directory)",
        ),
        (
            ("a.txt", "b.arpa"),
            "b.arpa: a model, not a text; mix models with --mix or --tune",
        ),
        (
            ("a.txt", "none.arpa", "--mix", "1,1"),
            "none.arpa: cannot be read (No such file or directory)",
        ),
        (("a.txt", "--size", "0.0001"), "--size 0.0001: its 2 words alone take 0.00 MB"),
        (("a.txt", "--size", "0"), "0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(ds2edge, tmp_path, options, says):
    (tmp_path / "a.txt").write_text("a b\n")
    (tmp_path / "b.arpa").write_text(ARPA)
    done = ds2edge("lm", "build", *options, "-o", "lm.ds2lm", cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lm.ds2lm").exists()
