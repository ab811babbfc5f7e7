"""Manifests: reading returns what was written, and bad lines are named."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import SPLITS, Clip, read_manifest, write_manifest

GOOD = {"audio": "a.wav", "text": "yes", "duration": 1.5, "split": "train", "speaker": "x"}


def test_audio_is_relative_to_the_manifest(tmp_path):
    (tmp_path / "m.jsonl").write_text(json.dumps(GOOD) + "\n\n")
    assert read_manifest(tmp_path / "m.jsonl") == [
        Clip(tmp_path / "a.wav", "yes", 1.5, "train", "x")
    ]


@given(
    text=st.text(),
    duration=st.floats(0.01, 1e4),
    split=st.sampled_from(SPLITS),
    speaker=st.text(),
    weight=st.sampled_from((0.0, 0.33, 1.0, 2.5)),
)
def test_what_is_written_is_read_again(tmp_path_factory, text, duration, split, speaker, weight):
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    clip = Clip(path.parent / "sub" / "a.wav", text, round(duration, 3), split, speaker, weight)
    write_manifest(path, [clip])
    assert read_manifest(path) == [clip]
    assert [p.name for p in path.parent.iterdir()] == ["m.jsonl"]
    assert ("weight" in json.loads(path.read_text("utf-8"))) == (weight != 1)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{nonsense", "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "text"}), "'text' is missing"),
        (json.dumps(GOOD | {"duration": "long"}), "not a number"),
        (json.dumps(GOOD | {"duration": -1}), "seconds above 0"),
        (json.dumps(GOOD | {"duration": True}), "not a number"),
        (json.dumps(GOOD | {"split": "validation"}), "none of train, dev, test"),
        (json.dumps(GOOD | {"audio": 3}), "not text"),
        (json.dumps(GOOD | {"weight": -0.1}), "weight -0.1 is not a number of at least 0"),
        (json.dumps(GOOD | {"weight": "half"}), "weight 'half' is not a number"),
        (json.dumps(GOOD | {"weight": True}), "weight True is not"),
        (json.dumps(GOOD | {"weight": None}), "weight None is not"),
        (json.dumps(GOOD | {"weight": float("nan")}), "weight nan is not"),
        (json.dumps(GOOD | {"weight": float("inf")}), "weight inf is not"),
    ],
)
def test_a_bad_line_is_named_with_file_and_line(tmp_path, line, says):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(InputError, match=says) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_lines_are_split_at_newlines_only(tmp_path):
    """str.splitlines would also split at U+0085 and U+2028, inside a text."""
    (tmp_path / "m.jsonl").write_text(
        json.dumps(GOOD | {"text": "a\x85b\u2028c"}, ensure_ascii=False) + "\n", "utf-8"
    )
    assert [clip.text for clip in read_manifest(tmp_path / "m.jsonl")] == ["a\x85b\u2028c"]


def test_a_missing_file_a_missing_split_and_binary_data_are_named(tmp_path):
    path = tmp_path / "m.jsonl"
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(path)
    path.write_text(json.dumps(GOOD))
    with pytest.raises(InputError, match=r"no clip of split test in it \(it holds train\)"):
        read_manifest(path, "test")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(path)


def test_a_manifest_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("a file, where a folder would have to be")
    with pytest.raises(
        InputError, match=r"taken/m\.jsonl: cannot be written \(.*\): make room, or choose another"
    ):
        write_manifest(tmp_path / "taken" / "m.jsonl", [])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (json.dumps(GOOD | {"duration": 10**400}), "not a number of seconds"),
        ('{"audio": "a.wav", "text": "x", "duration": 1, "split": "tr\\nain"}', "split 'tr"),
        ("[" * 100_000, "not a JSON object"),
    ],
)
def test_hostile_rows_are_one_line(tmp_path, row, says):
    (tmp_path / "m.jsonl").write_text(row)
    with pytest.raises(InputError, match=says) as caught:
        read_manifest(tmp_path / "m.jsonl")
    assert "\n" not in str(caught.value)


def test_odd_file_names_and_durations_are_read_as_written(tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9 \n.wav")
    clips = [
        Clip(odd, "x", 1 / 16000, "train"),
        Clip(tmp_path / "\u65e5.wav", "\u65e5", 2.0, "dev"),
    ]
    write_manifest(tmp_path / "m.jsonl", clips)
    assert [clip.audio for clip in read_manifest(tmp_path / "m.jsonl")] == [
        clip.audio for clip in clips
    ]
