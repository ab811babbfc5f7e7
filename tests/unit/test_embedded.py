"""Phrases inside a model file."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_vectors import FOLDER, INSIDE
from support import GOLDEN, SPOKEN

from ds2edge.runtime import InputError, Phrases, Recognizer, read_specification
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.model_file import (
    CHECKSUM,
    SPECIFICATION,
    append_specification,
    read_phrases,
    replace_phrases,
)
from ds2edge.runtime.phrases.embedded import embed, phrases_inside

RADIO = SPOKEN["turn down the radio"]
DIGITS = SPOKEN["seven one two five"]


@pytest.fixture
def house(tmp_path):
    """The golden model with phrases inside: the radio, not the digits."""
    path = tmp_path / "house.tflite"
    phrases = Phrases.of("turn down the radio", "open the door", min_confidence=0.3)
    embed(GOLDEN, phrases, path)
    return path


def flatbuffer(model) -> bytes:
    """The model without phrases and without zip."""
    with zipfile.ZipFile(model) as archive:
        end = archive.getinfo(SPECIFICATION).header_offset
    return model.read_bytes()[: end - len(read_phrases(model))]


def forged(path, phrases: bytes):
    """A model file with any bytes in place of the phrases, and the right checksum."""
    path.write_bytes(replace_phrases(GOLDEN, phrases))
    return path


def one_line(done) -> str:
    """The message of a command that failed with bad input."""
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    return done.stderr


def test_a_recogniser_uses_the_phrases_inside(house):
    recognizer = Recognizer(house)
    assert recognizer.phrases.min_confidence == 0.3
    assert recognizer.transcribe(RADIO).text == "turn down the radio"
    assert recognizer.transcribe(DIGITS).text == ""


def test_other_phrases_replace_those_inside(house):
    recognizer = Recognizer(house, phrases=Phrases.of("seven one two five"))
    assert recognizer.transcribe(DIGITS).text == "seven one two five"
    recognizer.phrases = None  # as when it was loaded without phrases
    assert recognizer.transcribe(DIGITS).text == ""


def test_phrases_inside_can_be_switched_off(house):
    recognizer = Recognizer(house, phrases="none")
    assert recognizer.phrases is None
    assert recognizer.transcribe(DIGITS).text == "seven one two five"
    assert Recognizer(house, decoder=GreedyDecoder).phrases is None
    recognizer = Recognizer(house)
    recognizer.phrases = "none"
    assert recognizer.transcribe(DIGITS).text == "seven one two five"
    assert Recognizer(house, phrases="none", beam=4).transcribe(DIGITS).text == "seven one two five"


def test_a_file_of_the_name_none_is_read(house, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").write_text("seven one two five\n")
    assert Recognizer(house, phrases="none").transcribe(DIGITS).text == "seven one two five"


def test_free_text_needs_a_wildcard_inside(house):
    with pytest.raises(InputError, match='no wildcard: omit them, or choose "none"'):
        Recognizer(house, beam=4)


def test_a_model_without_phrases_has_none():
    assert phrases_inside(GOLDEN) is None
    assert Recognizer(GOLDEN).phrases is None


def test_an_older_runtime_sees_a_plain_model(house):
    """It asks for these two files, and for the checksum of all that precedes the first one."""
    with zipfile.ZipFile(house) as archive:
        assert archive.namelist() == [SPECIFICATION, CHECKSUM]
        start = archive.getinfo(SPECIFICATION).header_offset
        assert archive.read(CHECKSUM) == b"%08x" % zlib.crc32(house.read_bytes()[:start])
        text = archive.read(SPECIFICATION)
    with zipfile.ZipFile(GOLDEN) as archive:
        assert archive.read(SPECIFICATION) == text  # no setting that it does not know
    assert flatbuffer(house) == flatbuffer(GOLDEN)


def test_the_golden_file_has_the_golden_phrases():
    assert read_phrases(FOLDER / INSIDE) == (FOLDER / "house.ds2ph").read_bytes()
    meaning = phrases_inside(FOLDER / INSIDE).meaning("turn down the radio")
    assert meaning.intent == "Volume"


def test_phrases_inside_are_replaced(house):
    embed(house, Phrases.of("yes"), house)
    assert phrases_inside(house).grammar.match("yes")
    assert phrases_inside(house).grammar.match("open the door") is None
    assert flatbuffer(house) == flatbuffer(GOLDEN)
    assert read_specification(house) == read_specification(GOLDEN)


def test_a_model_without_a_checksum_gets_one(tmp_path):
    old = tmp_path / "old.tflite"
    old.write_bytes(flatbuffer(GOLDEN))
    with zipfile.ZipFile(old, "a") as archive:
        archive.writestr(SPECIFICATION, read_specification(GOLDEN).to_json())
    embed(old, Phrases.of("yes"), old)
    with zipfile.ZipFile(old) as archive:
        assert archive.namelist() == [SPECIFICATION, CHECKSUM]
    assert phrases_inside(old).grammar.match("yes")


def test_letters_that_the_model_lacks_are_one_line_and_leave_no_file(tmp_path):
    output = tmp_path / "house.tflite"
    with pytest.raises(InputError, match="the model has no symbol for"):
        embed(GOLDEN, Phrases.of("дверь"), output)
    assert not list(tmp_path.iterdir())


def test_damaged_phrases_are_a_damaged_file(house):
    content = bytearray(house.read_bytes())
    content[len(flatbuffer(house)) + 50] ^= 1
    house.write_bytes(content)
    with pytest.raises(InputError, match=r"house.tflite: is damaged: copy or convert the model"):
        read_specification(house)
    with pytest.raises(InputError, match=r"house.tflite: "):
        Recognizer(house)


def test_phrases_that_cannot_be_read_are_one_line(tmp_path):
    content = Phrases.of("yes").to_bytes()
    broken = bytearray(content)
    broken[60] ^= 255
    path = forged(tmp_path / "m.tflite", bytes(broken))
    with pytest.raises(InputError, match=r"m.tflite: phrases inside: not made by") as problem:
        Recognizer(path)
    assert "\n" not in str(problem.value)
    newer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(newer, "w") as archive:
        archive.writestr("phrases.json", json.dumps({"format": 2}))
        archive.writestr("letters.npz", old.read("letters.npz"))
    path = forged(tmp_path / "m.tflite", newer.getvalue())
    with pytest.raises(InputError, match="phrases inside: made by a newer ds2edge: upgrade"):
        Recognizer(path)
    assert Recognizer(path, phrases="none").transcribe(DIGITS).text == "seven one two five"


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, end):
    """Bytes that end as a zip does, with any directory; also as the whole file."""
    path = tmp_path_factory.mktemp("bytes") / "m.tflite"
    front = content + b"PK\x05\x06" + (end + bytes(18))[:18]
    file = io.BytesIO(front)
    append_specification(file, "{}")
    for written in (file.getvalue(), front):
        path.write_bytes(written)
        with contextlib.suppress(InputError):
            phrases_inside(path)


def test_a_file_cut_short_has_no_phrases(house):
    whole = house.read_bytes()
    for size in range(len(flatbuffer(house)) - 20, len(whole), 97):
        house.write_bytes(whole[:size])
        assert phrases_inside(house) is None


def test_a_file_without_its_beginning_has_no_phrases(tmp_path):
    content = (FOLDER / INSIDE).read_bytes()
    path = tmp_path / "cut.tflite"
    for missing in range(3000, len(content), 50):
        path.write_bytes(content[missing:])
        assert read_phrases(path) == b""


def test_the_command_line_uses_them_and_switches_them_off(ds2edge, house):
    def texts(*options):
        done = ds2edge("transcribe", "-m", house, "--json", *options, RADIO, DIGITS)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["text"] for line in done.stdout.splitlines()]

    assert texts() == ["turn down the radio", ""]
    assert texts("--phrases", "none") == ["turn down the radio", "seven one two five"]
    assert texts("--min-confidence", 0)[1] in ("turn down the radio", "open the door")
    done = ds2edge("transcribe", "-m", house, "--phrases", "none", "--min-confidence", 0.5, RADIO)
    assert "--min-confidence needs --phrases" in one_line(done)


def test_the_command_compiles_into_a_model(ds2edge, tmp_path):
    phrases = tmp_path / "p.txt"
    phrases.write_text("turn down the radio\nopen the door\n")
    output = tmp_path / "house.tflite"
    compile_ = ["phrases", "compile", phrases, "-m", GOLDEN, "-o"]
    done = ds2edge(*compile_, output, "--other-speech", DIGITS)
    assert done.returncode == 0, done.stderr
    assert "0 false accepts" in done.stdout
    threshold = phrases_inside(output).min_confidence
    assert threshold != Phrases.of("yes").min_confidence

    card = ds2edge("info", "-m", output).stdout
    last = card.splitlines()[-1]
    assert last.startswith("phrases         turn down the radio, open the door; ")
    assert last.endswith(f" states; least confidence {threshold:g}")
    values = json.loads(ds2edge("info", "-m", output, "--json").stdout)["phrases"]
    assert values["sentences"] == ["turn down the radio", "open the door"]
    assert values["min_confidence"] == threshold
    assert "phrases" not in json.loads(ds2edge("info", "-m", GOLDEN, "--json").stdout)

    assert "must end in .ds2ph or .tflite" in one_line(ds2edge(*compile_, tmp_path / "h.txt"))
    phrases.write_text("дверь\n")
    message = one_line(ds2edge(*compile_, tmp_path / "other.tflite"))
    assert "p.txt:1: the model has no symbol for" in message
    assert not (tmp_path / "other.tflite").exists()


def test_bench_and_evaluate_decode_with_them(ds2edge, house, tmp_path):
    pytest.importorskip("jiwer", reason="jiwer is not installed (the extra `train`)")
    manifest = tmp_path / "manifest.jsonl"
    row = {"audio": str(RADIO), "text": "turn down the radio", "split": "test", "duration": 1.5}
    manifest.write_text(json.dumps(row) + "\n")
    done = ds2edge("evaluate", manifest, "-m", house, "--json")
    assert done.returncode == 0, done.stderr
    assert "phrases (" in done.stdout
    done = ds2edge("evaluate", manifest, "-m", house, "--json", "--phrases", "none")
    assert "phrases (" not in done.stdout
    done = ds2edge("bench", "-m", house, "--clip", DIGITS, "--seconds", 5)
    assert "no word was recognised in the clip" in one_line(done)


def test_the_android_app_gets_them_with_the_model(ds2edge, house, tmp_path):
    assets = tmp_path / "assets"
    done = ds2edge("android", "-m", house, "--clip", RADIO, "-o", assets)
    assert done.returncode == 0, done.stderr
    assert (assets / "model.tflite").read_bytes() == house.read_bytes()
    assert not (assets / "phrases.ds2ph").exists()
    assert json.loads((assets / "parity.json").read_text())["text"] == "turn down the radio"
