"""What a compiled file knows about rejection: how many letters are enough, and for which model."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from support import GOLDEN, SPOKEN

from ds2edge.runtime import Phrases, Recognizer
from ds2edge.runtime.model_file import network_checksum, replace_phrases
from ds2edge.runtime.phrases.embedded import choose_phrases, embed
from ds2edge.runtime.phrases.grammar import Grammar, Intent, Slot, Text, Value
from ds2edge.runtime.phrases.letters import Letters
from ds2edge.runtime.pretrained import PRETRAINED

RADIO = SPOKEN["turn down the radio"]


@pytest.fixture
def calibrated():
    """Phrases whose least confidence was chosen for the golden model."""
    phrases = Phrases.of("turn down the radio", "open the door")
    phrases.reject_below(0.3, network_checksum(GOLDEN))
    return phrases


def loose(count: int = 200) -> Phrases:
    """So many short phrases that short ones need clearer speech."""
    digits = str.maketrans("0123456789", "abcdefghij")
    return Phrases.of(*(str(number).translate(digits) for number in range(count)))


def test_a_compiled_file_keeps_how_it_rejects(tmp_path, calibrated):
    for phrases in (loose(), calibrated):
        phrases.save(tmp_path / "p.ds2ph")
        read = Phrases.load(tmp_path / "p.ds2ph")
        assert read.min_confidence == phrases.min_confidence
        assert read.enough_letters == phrases.enough_letters
        assert read.calibrated_for == phrases.calibrated_for
    assert loose().enough_letters > 5 > 0 == calibrated.enough_letters


def test_a_file_of_an_older_version_treats_all_lengths_alike(tmp_path):
    with zipfile.ZipFile(io.BytesIO(loose().to_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(members["phrases.json"])
    del content["enough_letters"], content["calibrated_for"]
    with zipfile.ZipFile(tmp_path / "old.ds2ph", "w") as archive:
        archive.writestr("phrases.json", json.dumps(content))
        archive.writestr("letters.npz", members["letters.npz"])
    read = Phrases.load(tmp_path / "old.ds2ph")
    assert (read.enough_letters, read.calibrated_for) == (0.0, "")


def test_other_values_count_anew():
    grammar = Grammar([Intent("", (Slot("name", "name"),))], {"name": [Value(Text("a"), "a")]})
    few = Phrases(grammar, Letters.of(grammar), calibrated_for="abc")
    many = few.with_values("name", [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"])
    assert few.enough_letters == 0 < many.enough_letters
    assert many.calibrated_for == "abc"


def test_the_checksum_of_the_network_does_not_depend_on_the_phrases(tmp_path):
    model = tmp_path / "house.tflite"
    embed(GOLDEN, loose(), model)
    assert network_checksum(model) == network_checksum(GOLDEN) != network_checksum(PRETRAINED)


def test_another_model_is_warned_about(calibrated, tmp_path, caplog):
    calibrated.save(tmp_path / "p.ds2ph")
    choose_phrases(tmp_path / "p.ds2ph", GOLDEN)
    choose_phrases(tmp_path / "p.ds2ph", PRETRAINED, min_confidence=0.4)
    choose_phrases(loose(), PRETRAINED)
    assert not caplog.records
    Recognizer(PRETRAINED, phrases=tmp_path / "p.ds2ph")
    (record,) = caplog.records
    assert "was chosen for another model: compile them again" in record.getMessage()


def test_phrases_inside_a_model_keep_its_checksum(calibrated, tmp_path, caplog):
    model = tmp_path / "house.tflite"
    embed(GOLDEN, calibrated, model)
    assert Recognizer(model).phrases.calibrated_for == network_checksum(model)
    assert not caplog.records
    model.write_bytes(replace_phrases(PRETRAINED, calibrated.to_bytes()))
    Recognizer(model)
    assert len(caplog.records) == 1


def test_the_command_line_warns_in_one_line(ds2edge, calibrated, tmp_path):
    calibrated.reject_below(0.3, "00000000")
    calibrated.save(tmp_path / "p.ds2ph")
    done = ds2edge("transcribe", "-m", GOLDEN, "--phrases", tmp_path / "p.ds2ph", RADIO)
    assert (done.returncode, done.stdout.strip()) == (0, "turn down the radio")
    assert done.stderr.splitlines()[:1] == [
        "warning: the least confidence of the phrases was chosen for another model: compile them "
        "again with -m and --other-speech"
    ]
