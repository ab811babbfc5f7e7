"""The command line: what it imports, how it answers bad input, and what it prints."""

import atexit
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import GOLDEN, MINI, SPOKEN, babble

from ds2edge.runtime.quiet import quiet_process

HEAVY = (
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "jiwer",
    "num2words",
    "rich",
    "requests",
    "matplotlib",
    "joblib",
)


def imports_after(code: str, *arguments: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = (
        code
        + "\nimport sys\nprint('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("LOADED")[1].split())


def test_importing_every_module_of_the_runtime_imports_no_training_library():
    modules = sorted(f"ds2edge.runtime.{path.stem}" for path in Path("runtime").glob("[!_]*.py"))
    assert len(modules) > 8
    loaded = imports_after("import ds2edge.runtime, " + ", ".join(modules))
    assert {"numpy", "soundfile", "click"} <= loaded
    assert not loaded.intersection(HEAVY)


def test_importing_the_library_imports_only_what_it_needs():
    loaded = imports_after("import ds2edge.runtime")
    assert {"numpy", "soundfile"} <= loaded
    assert not loaded.intersection({*HEAVY, "click", "av", "pyaudio", "ai_edge_litert"})


def test_importing_and_using_the_library_changes_nothing_of_the_host():
    code = (
        "import logging, os, sys, warnings\n"
        "def state():\n"
        "    return (dict(os.environ), list(sys.meta_path), list(warnings.filters),\n"
        "            logging.getLogger().handlers[:], logging.getLogger('ds2edge').handlers[:],\n"
        "            logging.getLogger('tensorflow').level, os.fstat(2), sys.stderr)\n"
        "import numpy, soundfile  # they have filters of their own\n"
        "before = state()\n"
        "from ds2edge.runtime import Recognizer\n"
        "Recognizer(sys.argv[1]).stream().finish()\n"
        "for one, other in zip(before, state(), strict=True): assert one == other, (one, other)"
    )
    imports_after(code, str(GOLDEN))


def test_transcribing_imports_no_training_library(tiny_model, wav):
    code = (
        "import sys\nfrom ds2edge.runtime.cli import main\n"
        "main(['transcribe', '--model', sys.argv[1], sys.argv[2]], standalone_mode=False)"
    )
    loaded = imports_after(code, str(tiny_model), str(wav("a.wav")))
    assert "ai_edge_litert" in loaded
    assert not loaded.intersection(HEAVY)


def test_help_of_everything_imports_no_training_library():
    code = (
        "from ds2edge.runtime.cli import main\n"
        "for words in ([], ['train'], ['evaluate'], ['convert'], ['parity'], ['data', 'check'],\n"
        "              ['lm', 'build'], ['info'], ['transcribe']):\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit as end: assert not end.code"
    )
    assert not imports_after(code).intersection(HEAVY)


def test_without_the_train_extra_the_command_says_what_to_install(tmp_path):
    code = (
        "import sys\nsys.modules['keras'] = None\nfrom ds2edge.runtime.cli import main\n"
        "main(['train', 'mini', sys.argv[1], '-o', 'run'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, MINI],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: this command needs keras, which is not installed: "
        "run pip install '.[train]' in the checkout of ds2edge\n"
    )


def test_help_lists_every_command_with_a_whole_sentence(ds2edge):
    done = ds2edge("--help", env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 0
    lines = done.stdout.split("Commands:\n")[1].splitlines()
    assert len(lines) == 19
    for line in lines:  # click ends a sentence that does not fit with an ellipsis
        assert re.fullmatch(r"  [a-z]+ +[A-Z].*[^.]\.", line), line
        assert len(line) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_command(ds2edge, shell):
    done = ds2edge(env=os.environ | {"_DS2EDGE_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0, done.stderr
    assert "_DS2EDGE_COMPLETE" in done.stdout
    words = {"COMP_WORDS": "ds2edge tr", "COMP_CWORD": "tr" if shell == "fish" else "1"}
    done = ds2edge(env=os.environ | words | {"_DS2EDGE_COMPLETE": f"{shell}_complete"})
    assert "transcribe" in done.stdout
    assert "listen" not in done.stdout


def test_tensorflow_does_not_log_in_a_command_or_its_workers():
    code = (
        "import multiprocessing, os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from ds2edge.runtime.cli import main\n"
        "from ds2edge.runtime.quiet import quiet_process\n"
        "main(['info'], standalone_mode=False)\n"
        "import tensorflow\n"
        "tensorflow.zeros(1)\n"
        "context = multiprocessing.get_context('spawn')\n"
        "with ProcessPoolExecutor(1, mp_context=context, initializer=quiet_process) as pool:\n"
        "    pool.submit(exec, 'import tensorflow').result()\n"
        "print('DONE')\n"
    )
    environment = {name: value for name, value in os.environ.items() if "TF_CPP" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.endswith("DONE\n")
    assert done.stderr == ""


@pytest.mark.parametrize(("level", "quiet"), [(None, True), ("3", True), ("0", False)])
def test_a_user_can_ask_for_the_logs_of_tensorflow(monkeypatch, level, quiet):
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setattr(atexit, "register", lambda function: function)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    for _ in range(2):
        quiet_process()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == (level or "3")
    assert len(sys.meta_path) == quiet


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_transcribe_takes_any_rate(ds2edge, tiny_model, wav, rate):
    path = wav(f"{rate}.wav", rate=rate)
    done = ds2edge("transcribe", "-m", tiny_model, path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "real-time factor" in done.stderr


def test_transcribe_takes_stereo_and_24_bit_and_flac(ds2edge, tiny_model, wav):
    files = [wav("s.wav", channels=2), wav("b.wav", subtype="PCM_24"), wav("f.flac"), wav("m.wav")]
    done = ds2edge("transcribe", "-m", tiny_model, *files)
    assert done.returncode == 0, done.stderr
    texts = [line.split(": ", 1)[1] for line in done.stdout.splitlines()]
    assert len(texts) == 4
    assert len(set(texts)) == 1


def test_bad_files_are_named_and_the_others_transcribed(ds2edge, tiny_model, wav, tmp_path):
    good, cut = wav("good.wav"), wav("cut.wav")
    cut.write_bytes(cut.read_bytes()[:20000])
    empty, text, missing = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "missing.wav"
    empty.touch()
    text.write_text("these are words\n" * 20)
    silent = wav("nothing.wav", seconds=0)
    done = ds2edge("transcribe", "-m", tiny_model, missing, empty, text, silent, cut, good)
    assert done.returncode == 2
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [str(cut), str(good)]
    lines = done.stderr.splitlines()
    for path in (missing, empty, text, silent):
        assert [line for line in lines if line.startswith(f"error: {path}: ")], (
            f"{path} is not named"
        )
    assert [line for line in lines if line.startswith(f"warning: {cut}: the file is cut short")]
    assert "Traceback" not in done.stderr


def test_a_folder_of_odd_files_is_transcribed_in_one_command(ds2edge, wav, tmp_path):
    folder = tmp_path / "recordings"
    (folder / "sub").mkdir(parents=True)
    good = [wav(f"recordings/{name}") for name in ("a.WAV", "b.flac", "sub/c.ogg", "sub/d.wav")]
    (folder / "bad.mp3").write_bytes(b"<html>")
    (folder / "zero.wav").touch()
    for name in ("notes.txt", "._a.wav", ".hidden.wav"):
        (folder / name).write_bytes(b"x")
    odd = folder / os.fsdecode(b"caf\xe9\n.wav")
    odd.write_bytes(good[0].read_bytes())
    done = ds2edge(
        "transcribe",
        "-m",
        GOLDEN,
        folder,
        "-o",
        tmp_path / "out.txt",
        env=os.environ | {"LC_ALL": "C"},
    )
    assert done.returncode == 2
    assert "error: 2 of 7 files could not be read" in done.stderr
    assert "Traceback" not in done.stderr
    written = (tmp_path / "out.txt").read_text()
    assert all(f"{path}: " in written for path in good)
    assert not list(tmp_path.glob("*.part"))
    (tmp_path / "none").mkdir()
    assert (
        ds2edge("transcribe", tmp_path / "none").stderr
        == f"error: {tmp_path / 'none'}: holds no sound file (a suffix such as .wav tells)\n"
    )


def test_subtitles_and_tables(ds2edge, tmp_path):
    clips = list(SPOKEN.values())
    one = ds2edge("transcribe", "-m", GOLDEN, "--format", "srt", clips[0])
    number, times, text = one.stdout.splitlines()[:3]
    assert (number, text) == ("1", "turn down the radio")
    assert re.fullmatch(r"00:00:0\d,\d{3} --> 00:00:0\d,\d{3}", times)
    assert ds2edge("transcribe", "-m", GOLDEN, "--format", "vtt", clips[0]).stdout.startswith(
        "WEBVTT\n\n00:00:0"
    )
    table = ds2edge("transcribe", "-m", GOLDEN, "--format", "tsv", *clips).stdout.splitlines()
    assert [line.split("\t")[2:] for line in table] == [
        [str(path), text] for text, path in SPOKEN.items()
    ]
    assert "give -o FOLDER" in ds2edge("transcribe", "--format", "srt", *clips).stderr
    done = ds2edge(
        "transcribe",
        "-m",
        GOLDEN,
        "--format",
        "srt",
        clips[0],
        *clips,
        "-o",
        tmp_path / "subtitles",
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "subtitles").glob("*.srt"))) == 4


def test_standard_input_and_a_channel(ds2edge, tmp_path):
    text, path = next(iter(SPOKEN.items()))
    with path.open("rb") as file:
        assert ds2edge("transcribe", "-m", GOLDEN, "-", stdin=file).stdout == text + "\n"
    sound, rate = soundfile.read(path)
    soundfile.write(tmp_path / "a.wav", np.stack([0 * sound, sound, -sound], 1), rate)
    for options in ((), ("--channel", 2), ("--channel", 3)):
        assert (
            ds2edge("transcribe", "-m", GOLDEN, tmp_path / "a.wav", *options).stdout == text + "\n"
        )
    assert (
        "no channel 4"
        in ds2edge("transcribe", "-m", GOLDEN, tmp_path / "a.wav", "--channel", 4).stderr
    )
    command = f"{Path(sys.executable).with_name('ds2edge')} transcribe - <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: -: standard input is closed")


def test_levels_are_remarked_on(ds2edge, tmp_path):
    sound, rate = soundfile.read(next(iter(SPOKEN.values())))
    for name, gain in (("quiet", 0.005), ("loud", 100.0), ("silent", 0.0)):
        soundfile.write(tmp_path / f"{name}.wav", np.clip(gain * sound, -1, 1), rate)
    done = ds2edge(
        "transcribe",
        "-m",
        GOLDEN,
        *(tmp_path / f"{name}.wav" for name in ("quiet", "loud", "silent")),
    )
    for name, says in (
        ("quiet", "is very quiet (-"),
        ("loud", "is clipped ("),
        ("silent", "is silent"),
    ):
        assert f"warning: {tmp_path / name}.wav: {says}" in done.stderr
    soundfile.write(tmp_path / "one.wav", sound[:1], rate)
    facts = json.loads(ds2edge("transcribe", "-m", GOLDEN, "--json", tmp_path / "one.wav").stdout)
    assert facts["real_time_factor"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_and_a_place_that_cannot_be_written_are_a_line(ds2edge, tmp_path):
    clip = next(iter(SPOKEN.values()))
    with open("/dev/full", "w") as full:
        command = [
            str(Path(sys.executable).with_name("ds2edge")),
            "transcribe",
            "-m",
            str(GOLDEN),
            str(clip),
        ]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in done.stderr
    for command in (
        ("transcribe", "-m", GOLDEN, clip),
        ("convert", "pretrained", "--mode", "float32"),
    ):
        for place, says in ((tmp_path, "is a folder"), ("/proc/x/y", "cannot be written")):
            done = ds2edge(*command, "-o", place)
            assert done.returncode == 2
            assert done.stderr.startswith(f"error: {place}: {says}")
            assert done.stderr.count("\n") == 1


def test_a_terminal_that_is_not_utf_8_and_a_user_without_a_home(ds2edge, wav, tmp_path):
    path = wav("caf\u00e9.wav")
    for encoding in ("ascii", "latin-1"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = ds2edge("transcribe", "-m", GOLDEN, path, path, env=environment, errors="replace")
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr
    code = (
        "import os, pathlib\n"
        "def no_home(): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = classmethod(lambda cls: no_home())\n"
        "from ds2edge.runtime.cli import main\nmain(['train', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_json_holds_words_with_times_and_confidence(ds2edge, tiny_model, wav):
    done = ds2edge(
        "transcribe", "--json", wav("a.wav"), env={"DS2EDGE_MODEL": str(tiny_model), "PATH": ""}
    )
    facts = json.loads(done.stdout)
    assert set(facts) == {"audio", "text", "words", "seconds", "real_time_factor"}
    assert facts["seconds"] == 1.0
    assert facts["text"] == " ".join(word["text"] for word in facts["words"])
    for word in facts["words"]:
        assert 0 <= word["start"] < word["end"] <= 1.4
        assert 0 < word["confidence"] <= 1


def test_a_model_cut_short_or_missing_is_one_line(ds2edge, tiny_model, wav, tmp_path):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_model.read_bytes()[:-100])
    for model, says in ((cut, "cut short"), (tmp_path / "none.tflite", "no such model file")):
        for command in (("transcribe", "-m", model, wav("a.wav")), ("info", "-m", model)):
            done = ds2edge(*command)
            assert done.returncode == 2
            assert done.stderr.startswith(f"error: {model}: ")
            assert says in done.stderr
            assert len(done.stderr.splitlines()) == 1


def test_info_prints_the_card_and_the_specification(ds2edge, tiny_model):
    card = ds2edge("info", "-m", tiny_model).stdout
    assert "tiny" in card
    assert "linear spectrogram, 161 bins" in card
    assert "float32, 4 steps of 20 ms" in card
    specification = json.loads(ds2edge("info", "--json", "-m", tiny_model).stdout)
    assert specification["graph"]["lookahead"] == 3
    assert specification["alphabet"][:3] == ["", " ", "a"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("train", "nonsense", "m.jsonl", "-o", "run"),
            "neither a recipe file nor a shipped recipe",
        ),
        (("train", "mini", "none.jsonl", "-o", "run"), "none.jsonl: cannot be read"),
        (("train", "mini", "bad.jsonl", "-o", "run"), "bad.jsonl:2: not a JSON object"),
        (("train", "mini", "empty.jsonl", "-o", "run"), "empty.jsonl: no clip in it"),
        (("train", "mini", "none.jsonl", "-o", "run", "--resume"), "not a run of `ds2edge train`"),
        (("convert", "norun", "-o", "m.tflite"), "not a run of `ds2edge train`"),
        (
            ("convert", "norun", "--mode", "float32", "-o", "m.tflite"),
            "not a run of `ds2edge train`",
        ),
        (("data", "join", "bad.jsonl", "-o", "out"), "bad.jsonl:2: not a JSON object"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(ds2edge, tmp_path, arguments, says):
    soundfile.write(tmp_path / "a.wav", babble(0.5), 16000)
    good = json.dumps({"audio": "a.wav", "text": "a", "duration": 0.5, "split": "train"})
    (tmp_path / "bad.jsonl").write_text(good + "\nnonsense\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    done = ds2edge(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "bad.jsonl", "empty.jsonl"]
