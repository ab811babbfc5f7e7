"""The command line: what it imports, what it answers to bad input, what it prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from support import babble

HEAVY = ("tensorflow", "keras", "jax", "torch", "jiwer", "num2words", "rich", "requests", "matplotlib", "joblib")


def imports_after(code: str, *arguments: str) -> set[str]:
    """Top-level modules that are loaded in a fresh interpreter after `code`."""
    script = code + "\nimport sys\nprint('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split("LOADED")[1].split())


def test_importing_every_module_of_the_runtime_imports_no_training_library():
    modules = sorted(f"ds2edge.runtime.{path.stem}" for path in Path("runtime").glob("[!_]*.py"))
    assert len(modules) > 8
    loaded = imports_after("import ds2edge.runtime, " + ", ".join(modules))
    assert {"numpy", "soundfile", "click"} <= loaded
    assert not loaded.intersection(HEAVY)


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
        "for words in ([], ['train'], ['evaluate'], ['convert'], ['parity'], ['data', 'check'], ['lm', 'build'],\n"
        "              ['info'], ['transcribe']):\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit as end: assert not end.code"
    )
    assert not imports_after(code).intersection(HEAVY)


def test_without_the_train_extra_the_command_says_what_to_install(tmp_path):
    code = (
        "import sys\nsys.modules['keras'] = None\nfrom ds2edge.runtime.cli import main\n"
        "main(['train', 'mini', 'm.jsonl', '-o', 'run'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: this command needs keras, which is not installed: pip install 'deepspeech2-edge[train]'\n"
    )


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_transcribe_takes_any_rate(ds2edge, tiny_model, wav, rate):
    path = wav(f"{rate}.wav", rate=rate)
    done = ds2edge("transcribe", "-m", tiny_model, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: ")
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
    done = ds2edge("transcribe", "-m", tiny_model, missing, empty, text, silent, tmp_path, cut, good)
    assert done.returncode == 2
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [str(cut), str(good)]
    lines = done.stderr.splitlines()
    for path in (missing, empty, text, silent, tmp_path):
        assert [line for line in lines if line.startswith(f"error: {path}: ")], f"{path} is not named"
    assert [line for line in lines if line.startswith(f"warning: {cut}: the file is cut short")]
    assert "Traceback" not in done.stderr


def test_json_holds_words_with_times_and_confidence(ds2edge, tiny_model, wav):
    done = ds2edge("transcribe", "--json", wav("a.wav"), env={"DS2EDGE_MODEL": str(tiny_model), "PATH": ""})
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
        for command in (("transcribe", "-m", model, wav("a.wav")), ("info", model)):
            done = ds2edge(*command)
            assert done.returncode == 2
            assert done.stderr.startswith(f"error: {model}: ")
            assert says in done.stderr
            assert len(done.stderr.splitlines()) == 1


def test_info_prints_the_card_and_the_specification(ds2edge, tiny_model):
    card = ds2edge("info", tiny_model).stdout
    assert "tiny" in card
    assert "linear spectrogram, 161 bins" in card
    assert "float32, 4 steps of 20 ms" in card
    specification = json.loads(ds2edge("info", "--json", tiny_model).stdout)
    assert specification["graph"]["lookahead"] == 3
    assert specification["alphabet"][:3] == ["", " ", "a"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "nonsense", "m.jsonl", "-o", "run"), "neither a recipe file nor one of the kit's recipes"),
        (("train", "mini", "none.jsonl", "-o", "run"), "none.jsonl: cannot read the manifest"),
        (("train", "mini", "bad.jsonl", "-o", "run"), "bad.jsonl:2: not a JSON object"),
        (("train", "mini", "empty.jsonl", "-o", "run"), "empty.jsonl: no clip in it"),
        (("train", "mini", "none.jsonl", "-o", "run", "--resume"), "not a run of `ds2edge train`"),
        (("convert", "norun", "-o", "m.tflite"), "not a run of `ds2edge train`"),
        (("convert", "norun", "--mode", "float32", "-o", "m.tflite"), "not a run of `ds2edge train`"),
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
