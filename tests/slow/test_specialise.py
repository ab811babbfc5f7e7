"""`ds2edge specialise` on three phrases and a tiny network: interrupted, resumed, and again."""

import json
from functools import partial

import pytest
from click.testing import CliRunner
from support import SPOKEN, install_tone_voices, untrained_run

from ds2edge.convert.commands.specialise import specialise as command
from ds2edge.convert.conversion import convert_run
from ds2edge.convert.specialise import specialise
from ds2edge.runtime import Recognizer
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import read_specification
from ds2edge.train.run import Run

pytestmark = pytest.mark.slow
pytest.importorskip("hibari", reason="hibari-tts is not installed (the extra `synthesis`)")


@pytest.fixture
def arguments(tmp_path, tiny_recipe, monkeypatch):
    """The arguments of the command. Its voices are tones, and it converts in this process."""
    install_tone_voices(tmp_path / "voices", monkeypatch)
    monkeypatch.setattr(specialise, "convert_run", partial(convert_run, isolated=False))
    parent = untrained_run(tiny_recipe, tmp_path / "parent")
    phrases = tmp_path / "commands.txt"
    phrases.write_text("turn down the radio\nopen the window\nyes\n")
    return [
        *(str(phrases), "-o", str(tmp_path / "house"), "--init-from", str(parent.folder)),
        *("--hours", "0.01", "--epochs", "2", "--voice", "tone"),
    ]


def run(*arguments: str) -> str:
    """Runs the command in this process and returns what it prints."""
    return CliRunner().invoke(command, arguments, catch_exceptions=False).output


def test_the_whole_way_interrupted_and_resumed(arguments, tmp_path, monkeypatch):
    house = tmp_path / "house"
    save = Run.save_epoch

    def stop_in_the_second(self, model, history):
        if len(history) == 2:
            raise KeyboardInterrupt
        save(self, model, history)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_epoch", stop_in_the_second)
        assert "Aborted" in run(*arguments)
    assert not (house / "model.tflite").exists()
    clips = {path: path.stat().st_mtime_ns for path in house.rglob("*.opus")}
    assert len(clips) > 30

    printed = run(*arguments)
    assert f"report: {house / 'report.html'}" in printed
    assert f"ds2edge listen -m {house / 'model.tflite'}" in printed
    assert "synthetic speech: " in printed
    assert {path: path.stat().st_mtime_ns for path in clips} == clips
    assert len((house / "work" / "run" / "log.csv").read_text().splitlines()) == 1 + 2
    check_result(house)

    again_with_other_checks(arguments, house, tmp_path)


def check_result(house):
    """The model knows its licence and can be used; the report has every part."""
    facts = read_specification(house / "model.tflite")
    assert facts.name == "house"
    assert facts.graph.mode == "int8"
    assert "voices: tone (CC0-1.0)" in facts.training["licence"]
    assert "sentences of general speech: CC0" in facts.training["licence"]
    assert "turn down the radio" in str(Recognizer(house / "model.tflite").phrases.grammar)
    figures = json.loads((house / "report.json").read_text())
    noisy = {f"{snr} dB {kind}" for snr in (24, 12, 6) for kind in ("noise", "babble")}
    assert {rates["name"] for rates in figures["by_noise"]} == {"no noise"} | noisy
    assert {voice["name"] for voice in figures["voices"]} == {f"tone-{n}" for n in range(4)}
    assert figures["apart"]
    assert {"near", "other"} <= {row["kind"] for row in figures["accepted"]}
    assert "<h2>int8 beside float</h2>" in (house / "report.html").read_text()


def again_with_other_checks(arguments, house, tmp_path):
    """Nothing is made again, unless it depends on what has changed."""
    made = {path: path.stat().st_mtime_ns for path in house.rglob("*") if path.is_file()}
    run(*arguments)
    changed = {path for path in made if path.stat().st_mtime_ns != made[path]}
    assert {path.parent for path in changed} <= {house / "work"}  # only its records

    clip = SPOKEN["turn down the radio"]
    row = {"audio": str(clip), "text": "turn down the radio", "speaker": "anna"}
    (tmp_path / "people.jsonl").write_text(json.dumps(row) + "\n")
    run(*arguments, "--recordings", str(tmp_path / "people.jsonl"), "--other-speech", str(clip))
    changed = {path.name for path in made if path.stat().st_mtime_ns != made[path]}
    assert {"report.html", "report.json", "model.tflite", "threshold.json"} <= changed
    assert not changed & {"int8.tflite", "float32.tflite", "best.keras", "manifest.jsonl"}
    figures = json.loads((house / "report.json").read_text())
    assert figures["recorded"]["by_noise"][0]["clips"] == 1
    assert [row["source"] for row in figures["false_accepts"]] == [
        "synthetic speech",
        "recorded speech",
    ]
    with pytest.raises(InputError, match=r"begun with epochs 2, not 3"):
        run(*arguments, "--epochs", "3")
