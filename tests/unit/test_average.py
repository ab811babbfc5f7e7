"""The mean of the weights of several runs."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support import MINI

from ds2edge.runtime.cli import main
from ds2edge.train.commands.average import average as command
from ds2edge.train.run import Run


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Three dev clips of the embedded corpus."""
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    rows = [row | {"audio": str(MINI.parent / row["audio"])} for row in rows]
    dev = [row for row in rows if row["split"] == "dev"][:3]
    path = tmp_path_factory.mktemp("average") / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in dev))
    return path


@pytest.fixture
def other_run(tiny_run, tmp_path):
    """The tiny run with twice its weights."""
    folder = tmp_path / "other"
    shutil.copytree(tiny_run.folder, folder)
    run = Run.open(folder)
    model = run.best_model()
    model.set_weights([2 * weight for weight in model.get_weights()])
    figures = run.best_figures()
    row = {"epoch": 1, "loss": 1.0, "seconds": 1.0}
    row |= {"dev_wer": figures["dev_wer"], "dev_cer": figures["dev_cer"]}
    run.save_epoch(model, [row])
    return run


def average(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_weights_are_the_mean(tiny_run, other_run, manifest, tmp_path):
    output = tmp_path / "mean"
    done = average(tiny_run.folder, other_run.folder, "--dev", manifest, "-o", output)
    assert done.exit_code == 0, done.output
    made = Run.open(output)
    ours = tiny_run.best_model().get_weights()
    for own, mean in zip(ours, made.best_model().get_weights(), strict=True):
        np.testing.assert_allclose(mean, 1.5 * own, rtol=1e-6)
    figures = made.best_figures()
    lines = done.output.splitlines()
    assert len(lines) == 3
    said = re.fullmatch(r"mean of these, (.*): WER (.*) %, CER (.*) % on dev", lines[-1])
    assert said[1] == str(output)
    assert float(said[2]) == pytest.approx(figures["dev_wer"], abs=0.01)
    assert float(said[3]) == pytest.approx(figures["dev_cer"], abs=0.01)
    rate = f"{tiny_run.best_figures()['dev_wer']:.2f} % on dev"
    assert made.specification.training["mean_of"] == f"tiny ({rate}), tiny ({rate})"
    assert made.symbols().alphabet == made.specification.alphabet
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mean", "other"]


def refusal(*arguments):
    with pytest.raises(SystemExit) as exit_info:
        main([str(argument) for argument in ("average", *arguments)])
    return exit_info.value.code


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"features": {"mel_bands": 40}}, "features"),
        ({"model": {"width": 25}}, "model"),
    ],
)
def test_runs_that_differ_are_refused(
    tiny_run, other_run, manifest, tmp_path, capsys, change, name
):
    recipe = json.loads((other_run.folder / "recipe.json").read_text())
    for part, values in change.items():
        recipe[part] |= values
    (other_run.folder / "recipe.json").write_text(json.dumps(recipe))
    code = refusal(tiny_run.folder, other_run.folder, "--dev", manifest, "-o", tmp_path / "mean")
    assert code == 2
    error = capsys.readouterr().err
    assert f"has another {name} than" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "mean").exists()


def test_other_statistics_are_refused(tiny_run, other_run, manifest, tmp_path, capsys):
    changed = dataclasses.replace(
        other_run.specification, mean=[value + 1 for value in other_run.specification.mean]
    )
    (other_run.folder / "specification.json").write_text(changed.to_json())
    arguments = (tiny_run.folder, other_run.folder, "--dev", manifest, "-o", tmp_path / "mean")
    assert refusal(*arguments) == 2
    assert "another statistics of features" in capsys.readouterr().err


def test_one_run_has_no_mean(tiny_run, manifest, tmp_path):
    done = average(tiny_run.folder, "--dev", manifest, "-o", tmp_path / "mean")
    assert done.exit_code == 2
    assert "alone has no mean" in done.output


def test_a_folder_that_exists_stays(tiny_run, other_run, manifest, tmp_path, capsys):
    target = tmp_path / "kept"
    target.mkdir()
    arguments = (tiny_run.folder, other_run.folder, "--dev", manifest, "-o", target)
    assert refusal(*arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert not list(target.iterdir())
