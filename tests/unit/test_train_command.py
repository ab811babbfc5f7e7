"""The commands `train` and `evaluate`: quick answers to bad input, help, and the last lines."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from support import GOLDEN, MINI

from ds2edge.runtime.errors import InputError
from ds2edge.train.commands.train import train as train_command
from ds2edge.train.inputs import read_input
from ds2edge.train.lock import is_first_process
from ds2edge.train.recipe_files import shipped_recipes, summaries

BAD_INPUT = {
    "no such recipe": "train nosuch m.jsonl -o new",
    "no such manifest": "train mini none.jsonl -o new",
    "no line of the manifest is a clip": "train mini empty.jsonl -o new",
    "a file in the way of the run": f"train mini {MINI} -o empty.jsonl/new",
    "no run to resume": f"train mini {MINI} -o new --resume",
    "resume and another run": f"train mini {MINI} -o {{run}} --resume --init-from pretrained",
    "another recipe than the run's": f"train mini {MINI} -o {{run}} --resume",
    "a run in the folder": f"train mini {MINI} -o {{run}}",
    "no run to start from": f"train mini {MINI} -o new --init-from none",
    "a run with other features": f"train mini {MINI} -o new --init-from {{run}}",
    "rounding without a run": f"train mini {MINI} -o new --qat",
    "no such model": f"evaluate {MINI} -m none.tflite",
    "not a model": f"evaluate {MINI} -m empty.jsonl",
    "not a run": f"evaluate {MINI} -m {MINI.parent}",
    "no manifest for a run": "evaluate none.jsonl -m {run}",
    "no folder of noise": f"evaluate {MINI} -m {{run}} --noise none --noise-snr 5",
    "threads for a run": f"evaluate {MINI} -m {{run}} --threads 2",
    "a file in the way of the report": f"evaluate {MINI} -m {{run}} -o empty.jsonl",
}


def test_bad_input_is_refused_before_keras_is_loaded(tiny_run, tmp_path):
    """All of it in one process: the time goes into starting Python."""
    (tmp_path / "empty.jsonl").write_text("\n")
    code = (
        "import sys\n"
        "from ds2edge.runtime.cli import main\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    try: main(line.split())\n"
        "    except SystemExit as end: print(end.code, 'keras' in sys.modules)\n"
    )
    lines = [line.format(run=tiny_run.folder) for line in BAD_INPUT.values()]
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    answers = dict(zip(BAD_INPUT, done.stdout.splitlines(), strict=True))
    assert answers == dict.fromkeys(BAD_INPUT, "2 False"), done.stderr
    assert len(done.stderr.splitlines()) == len(BAD_INPUT)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.jsonl"]


def test_the_help_lists_the_recipes():
    text = " ".join(CliRunner().invoke(train_command, ["--help"]).output.split())
    assert len(summaries()) == len(shipped_recipes()) >= 7
    for name, summary in summaries().items():
        assert f"{name} {summary[:20]}" in text
        assert len(summary) < 100
        assert summary.endswith((".", "!"))


@pytest.mark.parametrize("qat", [False, True])
def test_the_last_lines_say_what_is_kept_and_what_comes_next(
    tiny_run, tiny_recipe, monkeypatch, tmp_path, qat
):
    def pretend_to_train(*_):
        tiny_run.recipe = tiny_recipe.with_training(qat=qat)
        return tiny_run

    monkeypatch.setattr("ds2edge.train.trainer.train", pretend_to_train)
    monkeypatch.setattr(tiny_run, "recipe", tiny_run.recipe)
    done = CliRunner().invoke(train_command, ["mini", "my data.jsonl", "-o", str(tmp_path / "r")])
    kept, following = done.output.splitlines()
    assert kept == f"best epoch 1: WER 100.00 %, CER 100.00 % on dev, kept in {tiny_run.best}"
    calibration = "" if qat else " --calibration 'my data.jsonl'"
    name = tiny_run.folder.name
    assert following == f"next: ds2edge convert {tiny_run.folder}{calibration} -o {name}.tflite"


def test_of_several_processes_the_first_leads(monkeypatch):
    for variable in ("KERAS_DISTRIBUTION_PROCESS_ID", "TF_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    assert is_first_process()
    for config, first in (
        ('{"task": {"index": 0}}', True),
        ('{"task": {"index": 1}}', False),
        ("{}", True),
        ("not JSON", True),  # the training itself refuses it
        ("[]", True),
    ):
        monkeypatch.setenv("TF_CONFIG", config)
        assert is_first_process() == first
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    assert not is_first_process()


def test_a_run_without_a_finished_epoch_is_no_start(tiny_run, tiny_recipe, tmp_path):
    for name in ("recipe.json", "specification.json"):
        (tmp_path / name).write_bytes((tiny_run.folder / name).read_bytes())
    with pytest.raises(InputError, match=r"has no best\.keras, because no epoch is finished"):
        read_input(tiny_recipe, [MINI], tmp_path / "new", init_from=tmp_path)


def test_evaluate_takes_the_shipped_model_by_default(ds2edge, tmp_path):
    clip = MINI.read_text().splitlines()[0]
    audio = MINI.parent / "audio"
    (tmp_path / "audio").symlink_to(audio)
    (tmp_path / "one.jsonl").write_text(clip + "\n")
    split = "train" if '"split": "train"' in clip else "test"
    environment = {name: value for name, value in os.environ.items() if name != "DS2EDGE_MODEL"}
    options = ("--split", split, "--json")
    plain = ds2edge("evaluate", "one.jsonl", *options, cwd=tmp_path, env=environment)
    named = ds2edge("evaluate", "one.jsonl", "-m", "pretrained", *options, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert '"name": "english"' in plain.stdout
    assert '"name": "english"' in named.stdout
    assert '"name": "mini"' in ds2edge("evaluate", MINI, "-m", GOLDEN, "--json").stdout
