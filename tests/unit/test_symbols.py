"""Symbols: learning pieces, spelling texts, and saving them in a run."""

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


def test_pieces_start_with_the_blank_include_all_letters_and_shorten_frequent_texts(pieces):
    assert len(pieces.alphabet) == 50
    assert pieces.alphabet[0] == ""
    assert set(LETTERS) < set(pieces.alphabet)
    assert " light" in pieces.alphabet
    assert len(pieces.encode("turn on the light")) < 8


def test_the_same_texts_make_the_same_pieces(pieces, texts):
    assert Symbols.learn(texts, 50).pieces == pieces.pieces
    assert Symbols(pieces.pieces).encode("turn it on") == pieces.encode("turn it on")


def test_too_many_pieces_are_refused_with_the_largest_possible_number(texts):
    with pytest.raises(
        InputError, match=r"^\[text\] pieces = 999: these texts allow at most (\d+)$"
    ) as refused:
        Symbols.learn(texts, 999)
    most = int(str(refused.value).split()[-1])
    assert len(Symbols.learn(texts, most).alphabet) == most


def test_learning_pieces_needs_texts():
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


def test_a_run_from_before_pieces_spells_letters(tiny_run, tmp_path):
    Run.create(tmp_path, tiny_run.recipe, tiny_run.specification)
    old = (tmp_path / "recipe.json").read_text().replace('"text": {\n  "pieces": 0\n },\n ', "")
    assert "pieces" not in old
    (tmp_path / "recipe.json").write_text(old)
    assert Run.open(tmp_path).recipe == tiny_run.recipe
    assert Run.open(tmp_path).symbols().alphabet == LETTERS
