"""Training from the command line on the embedded corpus: learning, resuming, and what stops it."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from support import MINI

from ds2edge.runtime.errors import InputError
from ds2edge.train.run import Run
from ds2edge.train.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A few clips of the embedded corpus."""
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    chosen = [r for r in rows if r["split"] == "train"][:40] + [r for r in rows if r["split"] == "dev"][:8]
    path.write_text("".join(json.dumps(r | {"audio": str(MINI.parent / r["audio"])}) + "\n" for r in chosen))
    return path


@pytest.fixture(scope="module")
def unbroken(manifest, tiny_recipe, tmp_path_factory):
    """Four epochs in one go."""
    return train(tiny_recipe.with_training(4, None), [manifest], tmp_path_factory.mktemp("run") / "unbroken")


def weights(run: Run) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in run.last_model()[0].weights]


def test_it_learns_and_logs(manifest, tiny_recipe, tmp_path):
    training = dataclasses.replace(tiny_recipe.training, learning_rate=1e-2, epochs=12)
    run = train(dataclasses.replace(tiny_recipe, training=training), [manifest], tmp_path / "run")
    rows = list(csv.DictReader((run.folder / "log.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert {"dev_wer", "dev_cer", "seconds"} <= set(rows[0])
    assert list(run.tensorboard.rglob("events*"))
    best = min(rows, key=lambda row: (float(row["dev_wer"]), float(row["dev_cer"])))
    assert run.best_figures()["best_epoch"] == int(best["epoch"])


def test_resumed_training_ends_where_the_unbroken_one_does(manifest, tiny_recipe, unbroken, tmp_path, monkeypatch):
    """Stopped by an exception in its third epoch and resumed: weights, optimizer and figures are the same."""
    recipe = tiny_recipe.with_training(4, None)
    save = Run.save_epoch

    def stop_after_two(self, model, history):
        if len(history) == 3:
            raise KeyboardInterrupt
        save(self, model, history)

    monkeypatch.setattr(Run, "save_epoch", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, [manifest], tmp_path / "run")
    monkeypatch.undo()
    assert len(Run.open(tmp_path / "run").last_model()[1]) == 2
    resumed = train(recipe, [manifest], tmp_path / "run", resume=True)
    for one, other in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    figures = [[{k: v for k, v in row.items() if k != "seconds"} for row in run.last_model()[1]]
               for run in (resumed, unbroken)]  # fmt: skip
    assert figures[0] == figures[1]


def test_a_run_is_not_overwritten_and_not_resumed_with_another_recipe(manifest, tiny_recipe, unbroken):
    with pytest.raises(InputError, match="holds a run already: add --resume"):
        train(tiny_recipe, [manifest], unbroken.folder)
    with pytest.raises(InputError, match="begun with another recipe"):
        train(tiny_recipe.with_training(9, None), [manifest], unbroken.folder, resume=True)
    done = train(tiny_recipe.with_training(4, None), [manifest], unbroken.folder, resume=True)
    assert len(done.last_model()[1]) == 4


def nan_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    return y_pred[0, 0, 0] * float("nan")


def test_a_loss_that_is_not_a_number_stops_it_in_one_line(manifest, tiny_recipe, tmp_path, monkeypatch):
    from ds2edge.train.model import DeepSpeech2

    monkeypatch.setattr(DeepSpeech2, "compute_loss", nan_loss)
    with pytest.raises(InputError, match="the loss is nan at batch 1"):
        train(tiny_recipe, [manifest], tmp_path / "run")
    with pytest.raises(InputError, match="no epoch of it was finished: train it again, without --resume"):
        train(tiny_recipe, [manifest], tmp_path / "run", resume=True)
    monkeypatch.undo()
    once = tiny_recipe.with_training(1, None)
    assert len(train(once, [manifest], tmp_path / "run").last_model()[1]) == 1  # nothing was in the way
