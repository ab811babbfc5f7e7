"""The language model: estimation, its file, and the commands that make and use it."""

import gzip
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ARPA, GOLDEN, SPOKEN, probability, zipfian

from ds2edge.runtime.decoding.language_model import END, SPECIAL, START, UNKNOWN, LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.train.language_model import ngrams
from ds2edge.train.language_model.arpa import read_arpa
from ds2edge.train.language_model.ngrams import estimate, perplexity

SENTENCES = ["a b", "a b", "a c"]


def test_a_bigram_model_computed_by_hand():
    """The discounts are 0.5, 1 and 1.5. </s> follows two words, all others one.

    Each word, <unk> too, gets a fifth of 0.5.
    """
    model = estimate(SENTENCES, order=2)
    assert model.vocabulary == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    for word, expected in {"a": 0.2, "b": 0.2, "c": 0.2, "</s>": 0.3, "z": 0.1}.items():
        assert probability(model, word) == pytest.approx(expected)
    assert probability(model, "a", "b") == pytest.approx((2 - 1) / 3 + 0.5 * 0.2)
    assert probability(model, "a", "c") == pytest.approx((1 - 0.5) / 3 + 0.5 * 0.2)
    assert probability(model, "a", "z") == pytest.approx(0.5 * 0.1)
    assert probability(model, "<s>", "a") == pytest.approx((3 - 1.5) / 3 + 0.5 * 0.2)
    # No word was seen after <unk> or after "b a", so shorter histories count in full.
    assert probability(model, "z", "a") == pytest.approx(0.2)
    assert probability(model, "b", "a", "b") == pytest.approx(probability(model, "a", "b"))


def test_pruning_gives_the_probability_to_shorter_histories():
    model = estimate(SENTENCES, order=2, prune=1)
    assert probability(model, "a", "b") == pytest.approx(1 / 3 + 2 / 3 * 0.2)
    assert probability(model, "a", "c") == pytest.approx(2 / 3 * 0.2)
    assert model.ngram_counts == [6, 3]


def test_pruning_keeps_what_longer_sequences_begin_with():
    """`b c` only follows `a`, so it counts once, but `a b c` counts five times."""
    model = estimate(["a b c"] * 5 + ["c"], order=3, prune=1)
    assert probability(model, "a", "b", "c") > 0.6
    assert sum(
        probability(model, "a", "b", word) for word in ("a", "b", "c", "</s>", "z")
    ) == pytest.approx(1)


def test_discounts_are_those_of_chen_and_goodman():
    """4 n-grams occur once, 2 twice, 2 three times and 1 four times: Y = 4 / (4 + 2 * 2)."""
    counts = np.array([1] * 4 + [2] * 2 + [3] * 2 + [4])
    expected = [0, 1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 2 / 2, 3 - 4 * 0.5 * 1 / 2]
    np.testing.assert_allclose(ngrams._discounts(counts), expected)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), order=st.integers(1, 4), prune=st.integers(0, 2))
def test_probabilities_sum_to_one_after_any_history(seed, order, prune):
    model = estimate(zipfian(seed), order, prune)
    rng = np.random.default_rng(seed)
    histories = [
        (),
        (START,),
        (UNKNOWN,),
        (START, UNKNOWN),
        (START, model.id("w1"), model.id("w3")),
    ]
    histories += [
        tuple(rng.integers(len(SPECIAL), len(model.vocabulary), 3).tolist()) for _ in range(20)
    ]
    for history in histories:
        predicted = [
            model.log_probability(history, word)
            for word in range(len(model.vocabulary))
            if word != START
        ]
        assert np.exp(predicted).sum() == pytest.approx(1, abs=1e-5)


def test_longer_histories_predict_better():
    text = zipfian(0, 4000)
    held_out = zipfian(1, 100)
    values = [perplexity(estimate(text, order), held_out)[0] for order in (1, 2)]
    assert values[1] < 0.8 * values[0]


def test_perplexity_counts_the_ends_and_the_unknown_words():
    model = estimate(SENTENCES, order=2)
    value, unknown = perplexity(model, ["a z"])
    expected = (
        probability(model, "<s>", "a")
        * probability(model, "a", "z")
        * probability(model, "z", "</s>")
    )
    assert value == pytest.approx(expected ** (-1 / 3))
    assert unknown == 50


def test_the_best_completion_of_a_prefix_is_its_likeliest_word():
    model = estimate(["the night is near", "a knight is there", "the night"])
    for prefix in ("t", "the", "th", "n", "k", "knight"):
        words = [word for word in model.vocabulary if word.startswith(prefix)]
        best = max(model.log_probability((), model.id(word)) for word in words)
        assert model.best_completion(prefix) == pytest.approx(best)
    assert model.best_completion("thx") is None
    assert model.best_completion("<") is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100), order=st.integers(1, 4), data=st.data())
def test_no_word_is_more_probable_than_the_best_completion_of_its_prefix(seed, order, data):
    model = estimate(zipfian(seed), order)
    words = st.integers(0, len(model.vocabulary) - 1)
    history = tuple(data.draw(st.lists(words, max_size=4)))
    word = data.draw(st.integers(len(SPECIAL), len(model.vocabulary) - 1))
    for end in range(1, len(model.vocabulary[word]) + 1):
        best = model.best_completion(model.vocabulary[word][:end], history)
        assert best >= model.log_probability(history, word) - 1e-6


def test_the_best_completion_depends_on_the_words_before():
    model = estimate(["turn on the light", "turn on the lamp"] * 3 + ["lion"] * 9, order=2)
    the, words = model.id("the"), [model.id(word) for word in ("light", "lamp", "lion")]
    after = max(model.log_probability((the,), word) for word in words)
    assert model.best_completion("l", (the,)) == pytest.approx(after)
    assert model.best_completion("l") == pytest.approx(model.log_probability((), model.id("lion")))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lm.ds2lm"
    path.write_bytes(estimate(zipfian(0)).to_bytes())
    return path


def test_a_saved_model_can_be_loaded(file):
    model, loaded = estimate(zipfian(0)), LanguageModel.load(file)
    assert (loaded.vocabulary, loaded.ngram_counts, loaded.order) == (
        model.vocabulary,
        model.ngram_counts,
        3,
    )
    rng = np.random.default_rng(0)
    for history in [
        (START,),
        *map(tuple, rng.integers(END, len(model.vocabulary), (200, 2)).tolist()),
    ]:
        for word in (UNKNOWN, END, 7):
            expected = model.log_probability(history, word)
            assert loaded.log_probability(history, word) == pytest.approx(
                expected, abs=3 / 64 + 2e-3
            )


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_refused_in_one_line(file, part):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match="cut short, or not a language model") as caught:
        LanguageModel.load(file)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("other.npz", GOLDEN):
        with pytest.raises(InputError, match="not a language model"):
            LanguageModel.load(tmp_path / name)
    with pytest.raises(InputError, match="no such language model"):
        LanguageModel.load(tmp_path / "none.ds2lm")


def test_build_normalises_reports_and_writes(ds2edge, tmp_path):
    text, more, output = tmp_path / "text.txt", tmp_path / "more.txt", tmp_path / "new" / "lm.ds2lm"
    text.write_text("Turn on 2 LIGHTS, please!\n\n...\n" * 60)
    more.write_text("the café\n")
    done = ds2edge("lm", "build", text, more, "-o", output, "--order", "2")
    assert done.returncode == 0, done.stderr
    model = LanguageModel.load(output)
    assert model.vocabulary[len(SPECIAL) :] == [
        "cafe",
        "lights",
        "on",
        "please",
        "the",
        "turn",
        "two",
    ]
    assert done.stdout.startswith(f"{output}: 0.00 MB, 7 words, 9 2-grams\nperplexity: 1.")
    assert "0.00 % unknown words" in done.stdout
    assert [path.name for path in output.parent.iterdir()] == ["lm.ds2lm"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.txt", None, "none.txt: cannot be read (No such file or directory)"),
        ("empty.txt", b"\n ... \n", "empty.txt: no word in it"),
        ("latin.txt", b"caf\xe9\n", "latin.txt: not UTF-8 text"),
    ],
)
def test_bad_text_is_one_line_and_leaves_nothing_behind(ds2edge, tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = ds2edge("lm", "build", name, "-o", "lm.ds2lm", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"error: {says}")
    assert not (tmp_path / "lm.ds2lm").exists()


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_convert_reads_an_arpa_file(ds2edge, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(ARPA.encode()) if name.endswith("gz") else ARPA.encode())
    done = ds2edge("lm", "convert", path, "-o", tmp_path / "lm.ds2lm")
    assert done.returncode == 0, done.stderr
    model = LanguageModel.load(tmp_path / "lm.ds2lm")
    assert model.vocabulary == ["<unk>", "<s>", "</s>", "light", "the"]
    for words, log10 in {
        "the light": -0.2,
        "<s> the": -0.4,
        "light the": -0.2 - 0.7,
        "<s> zzz": -0.3 - 0.7,
    }.items():
        assert math.log10(probability(model, *words.split())) == pytest.approx(log10, abs=2e-2)


def test_ngrams_without_their_beginning_are_left_out_of_an_arpa_file(tmp_path):
    """Kaldi's tools may prune so. An order may also be empty."""
    path = tmp_path / "lm.arpa"
    more = "\\3-grams:\n-0.1\tLIGHT THE LIGHT\n-0.3\t<s> THE LIGHT\n"
    path.write_text(ARPA.replace("\\end", f"{more}\n\\4-grams:\n\n\\end"))
    model = read_arpa(path)
    assert model.ngram_counts == [5, 2, 1, 0]
    assert math.log10(probability(model, "<s>", "the", "light")) == pytest.approx(-0.3)
    assert math.log10(probability(model, "light", "the", "light")) == pytest.approx(-0.2)
    more = "\\3-grams:\n\n\\4-grams:\n-0.1 <s> the light the\n"
    path.write_text(ARPA.replace("\\end", f"{more}\\end"))
    assert read_arpa(path).ngram_counts == [5, 2, 0, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ARPA[:-8], "not a whole ARPA file (line 13: no \\end\\ after n-grams)"),
        (ARPA.replace("-0.5", "x"), "could not convert string to float: 'x'"),
        (ARPA.replace("THE LIGHT", "A LIGHT"), "(line 12: 'a' is no 1-gram of the file)"),
        (
            ARPA.replace("-0.4\t<s>", "0.4\t<s>"),
            "(line 13: the logarithm of a probability is 0.4, which is above 0)",
        ),
        (ARPA.replace("-0.4\t<s>", "nan\t<s>"), "(line 13: "),
        (
            ARPA.replace("THE LIGHT", "THE LIGHT AGAIN -1"),
            "(line 12: 5 fields where a 2-gram has 3 or 4)",
        ),
        (ARPA.replace("LIGHT\t", "\udcff\t"), "(line 8: not UTF-8 text)"),
        (
            "mmap lm http://kheafield.com/code format version 5\n\0",
            "a binary of KenLM; give the ARPA file",
        ),
        (ARPA.replace("-0.6\tLIGHT", "\n" * 3), "line 11"),
        (ARPA.replace("LIGHT\t", "The\t"), "some words differ only in case"),
        ("plain text\n", "no \\end\\ after n-grams"),
    ],
)
def test_a_bad_arpa_file_is_one_line(tmp_path, text, says):
    path = tmp_path / "lm.arpa"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        read_arpa(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99), (8, 12)])
def test_a_language_model_that_claims_to_be_encrypted_is_one_line(tmp_path, place, value):
    (tmp_path / "lm.arpa").write_text(ARPA)
    data = bytearray(read_arpa(tmp_path / "lm.arpa").to_bytes())
    for mark, offset in ((b"PK\1\2", 2), (b"PK\3\4", 0)):
        start = data.find(mark)
        while start >= 0:
            data[start + place + offset] = value
            start = data.find(mark, start + 1)
    (tmp_path / "lm.ds2lm").write_bytes(data)
    with pytest.raises(InputError, match=r"lm\.ds2lm: cut short, or not a language model"):
        LanguageModel.load(tmp_path / "lm.ds2lm")


def test_unusual_but_valid_arpa_files_are_read(tmp_path):
    odd = ARPA.replace("THE", "A\u00a0B\u3000C\u0085").replace("\n", "\r\n")
    (tmp_path / "spaces.arpa").write_bytes(odd.encode())
    assert "a\u00a0b\u3000c\u0085" in read_arpa(tmp_path / "spaces.arpa").vocabulary
    (tmp_path / "packed.arpa").write_bytes(gzip.compress(ARPA.encode()))
    assert read_arpa(tmp_path / "packed.arpa").vocabulary == [
        "<unk>",
        "<s>",
        "</s>",
        "light",
        "the",
    ]
    without = "".join(line + "\n" for line in ARPA.splitlines() if "<s>" not in line)
    (tmp_path / "nos.arpa").write_text(without)
    model = read_arpa(tmp_path / "nos.arpa")
    assert math.log10(probability(model, "<s>", "the")) == pytest.approx(-0.7, abs=1e-3)


def test_hot_words_are_normalised(ds2edge, tmp_path):
    (tmp_path / "words.txt").write_text(
        "\ufeffO\u2019Brien\nCAF\u00c9\n\nturn-down the radio.\n", "utf-8"
    )
    clip = SPOKEN["turn down the radio"]
    taken = (
        "turn down the radio.",
        "radio, turn,",
        "O\u2019Brien",
        "@words.txt",
        "Stra\u00dfe,turn\u2013down",
    )
    for hotwords in taken:
        done = ds2edge("transcribe", "-m", GOLDEN, clip, "--hotwords", hotwords, cwd=tmp_path)
        assert (done.returncode, done.stdout.strip()) == (0, "turn down the radio"), hotwords
    refused = {
        "C-3PO": "hot word 'c 3po'",
        "@none.txt": "none.txt: cannot be read",
        ",.": "no word",
    }
    for hotwords, says in refused.items():
        done = ds2edge("transcribe", "-m", GOLDEN, clip, "--hotwords", hotwords, cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--lm", "none.ds2lm"),
            "none.ds2lm: no such language model; make one with `ds2edge lm build`",
        ),
        (("--lm", GOLDEN), "not a language model of `ds2edge lm build`"),
        (("--lm-weight", "1"), "--lm-weight needs --lm"),
        (("--word-bonus", "1", "--beam", "4"), "--word-bonus needs --lm"),
        (("--lm", "lm.arpa"), "lm.arpa: an ARPA file: `ds2edge lm convert lm.arpa -o lm.ds2lm`"),
        (("--hotwords", " , "), "no word in it"),
        (("--hotwords", "日"), "hot word '日': this model has no '日'"),
        (("--beam", "0"), "0 is not in the range"),
    ],
)
@pytest.mark.parametrize("command", ["transcribe", "listen", "evaluate"])
def test_bad_options_are_named(ds2edge, tmp_path, command, options, says):
    clip = SPOKEN["turn down the radio"]
    (tmp_path / "lm.arpa").write_text(ARPA)
    arguments = {
        "transcribe": ("-m", GOLDEN, clip),
        "listen": ("-m", GOLDEN, "--file", clip),
        "evaluate": ("-m", GOLDEN, clip.parent.parent / "manifest.jsonl"),
    }[command]
    done = ds2edge(command, *arguments, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
