"""Letters and pieces: learning them, spelling with them, and what a run keeps of them."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.data.text import LETTERS, normalise
from ds2edge.train.recipe import TextSettings, read_recipe
from ds2edge.train.run import PIECES, Run


@pytest.fixture(scope="module")
def texts(mini_clips):
    return [clip.text for clip in mini_clips]


@pytest.fixture(scope="module")
def pieces(texts):
    return Symbols.learn(texts, 50)


@settings(max_examples=300)
@given(
    text=st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz' "), max_size=60)
    | st.text(max_size=60)
)
def test_symbols_spell_any_normalised_text(pieces, text):
    normalised = normalise(text).text
    for symbols in (Symbols(), pieces):
        spelled = symbols.encode(normalised)
        assert all(0 < index < len(symbols.alphabet) for index in spelled)
        assert "".join(symbols.alphabet[index] for index in spelled).strip() == normalised


def test_pieces_begin_with_the_blank_hold_every_letter_and_shorten_what_is_frequent(pieces):
    assert len(pieces.alphabet) == 50
    assert pieces.alphabet[0] == ""
    assert set(LETTERS) < set(pieces.alphabet)
    assert " light" in pieces.alphabet
    assert len(pieces.encode("turn on the light")) < 8


def test_the_same_texts_make_the_same_pieces(pieces, texts):
    assert Symbols.learn(texts, 50).pieces == pieces.pieces
    assert Symbols(pieces.pieces).encode("turn it on") == pieces.encode("turn it on")


def test_more_pieces_than_the_texts_have_are_answered_with_the_most(texts):
    with pytest.raises(
        InputError, match=r"^\[text\] pieces = 999: these texts allow at most (\d+)$"
    ) as refused:
        Symbols.learn(texts, 999)
    most = int(str(refused.value).split()[-1])
    assert len(Symbols.learn(texts, most).alphabet) == most


def test_without_texts_there_are_no_pieces():
    with pytest.raises(InputError, match="no text of split 'train'"):
        Symbols.learn([""], 40)


def test_a_recipe_with_too_few_pieces_for_the_letters_is_refused(tiny_toml, tmp_path):
    path = tmp_path / "few.toml"
    path.write_text(tiny_toml.read_text() + "\n[text]\npieces = 28\n")
    with pytest.raises(
        InputError, match=r"few.toml: text: pieces \(28\) must be 0, for letters, or at least 29"
    ):
        read_recipe(path)
    path.write_text(tiny_toml.read_text() + "\n[text]\npieces = 29\n")
    assert read_recipe(path).text == TextSettings(29)


def test_a_run_keeps_its_pieces(pieces, texts, tiny_run, tmp_path):
    recipe = dataclasses.replace(tiny_run.recipe, text=TextSettings(50))
    specification = dataclasses.replace(tiny_run.specification, alphabet=pieces.alphabet)
    Run.create(tmp_path, recipe, specification, pieces)
    assert Run.open(tmp_path).symbols().encode("the light") == pieces.encode("the light")
    (tmp_path / PIECES).write_bytes(Symbols.learn(texts, 49).pieces)
    with pytest.raises(InputError, match="has another alphabet than pieces"):
        Run.open(tmp_path).symbols()
    (tmp_path / PIECES).write_bytes(b"nothing of the kind")
    with pytest.raises(
        InputError, match=r"pieces.model: cannot be read as a piece model \(not a piece model\)"
    ):
        Run.open(tmp_path).symbols()
    (tmp_path / PIECES).unlink()
    with pytest.raises(
        InputError, match=r"pieces.model: cannot be read as a piece model \(.*No such file"
    ):
        Run.open(tmp_path).symbols()


def test_a_run_of_before_there_were_pieces_says_letters(tiny_run, tmp_path):
    Run.create(tmp_path, tiny_run.recipe, tiny_run.specification)
    old = (tmp_path / "recipe.json").read_text().replace('"text": {\n  "pieces": 0\n },\n ', "")
    assert "pieces" not in old
    (tmp_path / "recipe.json").write_text(old)
    assert Run.open(tmp_path).recipe == tiny_run.recipe
    assert Run.open(tmp_path).symbols().alphabet == LETTERS
