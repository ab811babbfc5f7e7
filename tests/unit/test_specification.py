"""The specification inside a model file, and how strictly records are read."""

import dataclasses
import json
import zipfile

import pytest

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import FeatureSettings
from ds2edge.runtime.specification import (
    Graph,
    Specification,
    State,
    attach_specification,
    read_specification,
)

SPECIFICATION = Specification(
    name="x",
    alphabet=("", " ", "a", "\u00e9"),
    features=FeatureSettings(mel_bands=3),
    mean=(-50.0, -51.5, -52.0),
    std=(10.0, 11.0, 12.0),
    graph=Graph("int8", 16, 2, 8, 5, (State("conv0", (1, 3, 161, 1)), State("gru0_h", (1, 8)))),
    training={"training_hours": 1.5},
)


def test_json_and_back():
    assert Specification.from_json(SPECIFICATION.to_json(), "x") == SPECIFICATION
    states = (State("conv0", (1, 3, 161, 1), "convolutions"), State("gru0_h", (1, 8), "gru0"))
    both_ways = dataclasses.replace(
        SPECIFICATION, graph=Graph("int8", 16, 2, 8, 0, states, layers=("gru0",))
    )
    assert Specification.from_json(both_ways.to_json(), "x") == both_ways
    bare = dataclasses.replace(SPECIFICATION, graph=None)
    assert Specification.from_json(bare.to_json(), "x") == bare


def test_files_name_the_standard_deviation_as_they_always_have():
    written = json.loads(SPECIFICATION.to_json())
    assert written["deviation"] == [10.0, 11.0, 12.0]
    assert "std" not in written


def test_appended_to_a_file_the_front_stays_as_it_was(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(1000))
    attach_specification(path, SPECIFICATION)
    assert path.read_bytes()[:1008] == b"\x1c\x00\x00\x00TFL3" + bytes(1000)
    assert read_specification(path) == SPECIFICATION


@pytest.mark.parametrize("place", [0, 5, 700, 999])
def test_a_damaged_flatbuffer_is_refused_before_an_interpreter_sees_it(tmp_path, place):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(1000))
    attach_specification(path, SPECIFICATION)
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"^[^\n]*m.tflite: is damaged: copy or convert the model"):
        read_specification(path)


def test_bytes_missing_from_the_flatbuffer_are_noticed(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(1000))
    attach_specification(path, SPECIFICATION)
    path.write_bytes(path.read_bytes()[4:])
    with pytest.raises(InputError):
        read_specification(path)


def test_a_file_without_a_checksum_is_still_read(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(1000))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("ds2edge.json", SPECIFICATION.to_json())
    assert read_specification(path) == SPECIFICATION


def test_a_damaged_name_of_the_checksum_is_refused(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(1000))
    attach_specification(path, SPECIFICATION)
    path.write_bytes(path.read_bytes().replace(b"ds2edge.crc32", b"ds2edge.crc33"))
    with pytest.raises(InputError, match="is damaged"):
        read_specification(path)


def test_a_file_cut_short_at_any_place_is_refused(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(500))
    attach_specification(path, SPECIFICATION)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cut short"):
            read_specification(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"alphabet": ["a", "b"]}, "begin with the blank"),
        ({"mean": [1.0]}, "1 means"),
        ({"format": 99}, "newer than this ds2edge"),
        ({"nonsense": 1}, "unknown setting 'nonsense'"),
        ({"name": 5}, "name: expected str"),
        ({"features": {"hop": 1.5}}, "hop: expected int"),
        ({"features": {"hop": 0}}, "features: hop"),
        ({"graph": {"mode": "int8"}}, "'chunk_steps' is missing"),
    ],
)
def test_a_specification_with_a_fault_is_refused_by_name(change, says):
    import json

    values = json.loads(SPECIFICATION.to_json()) | change
    with pytest.raises(InputError, match=says) as caught:
        Specification.from_json(json.dumps(values), "model.tflite")
    assert str(caught.value).startswith("model.tflite")
