"""Training on the embedded corpus: learning, resuming, fine-tuning, quantization, and errors."""

import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from support import MINI

from ds2edge.runtime.errors import InputError
from ds2edge.train.recipe import TextSettings
from ds2edge.train.run import Run
from ds2edge.train.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A few clips of the embedded corpus."""
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    chosen = [r for r in rows if r["split"] == "train"][:40] + [
        r for r in rows if r["split"] == "dev"
    ][:8]
    path.write_text(
        "".join(json.dumps(r | {"audio": str(MINI.parent / r["audio"])}) + "\n" for r in chosen)
    )
    return path


@pytest.fixture(scope="module")
def unbroken(manifest, tiny_recipe, tmp_path_factory):
    """Four epochs in one go."""
    return train(
        tiny_recipe.with_training(4, None), [manifest], tmp_path_factory.mktemp("run") / "unbroken"
    )


@pytest.fixture(scope="module")
def resumed(manifest, tiny_recipe, tmp_path_factory):
    """The same, stopped by an exception before its third epoch is saved, then resumed.

    Event files are named after the clock, which stands still here: names must not collide.
    """
    recipe = tiny_recipe.with_training(4, None)
    folder = tmp_path_factory.mktemp("run") / "resumed"
    save = Run.save_epoch

    def stop_after_two(self, model, history):
        if len(history) == 3:
            raise KeyboardInterrupt
        save(self, model, history)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensorboardX.event_file_writer.time", SimpleNamespace(time=lambda: 1.7e9))
        with patch.context() as stop:
            stop.setattr(Run, "save_epoch", stop_after_two)
            with pytest.raises(KeyboardInterrupt):
                train(recipe, [manifest], folder)
        assert len(Run.open(folder).last_model()[1]) == 2
        return train(recipe, [manifest], folder, resume=True)


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


def test_resumed_training_ends_where_the_unbroken_one_does(resumed, unbroken):
    """Weights, optimizer and figures are the same."""
    for one, other in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    figures = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.last_model()[1]]
        for run in (resumed, unbroken)
    ]
    assert figures[0] == figures[1]


def test_a_run_is_not_overwritten_and_not_resumed_with_another_recipe(
    manifest, tiny_recipe, unbroken
):
    with pytest.raises(InputError, match="holds a run already: add --resume"):
        train(tiny_recipe, [manifest], unbroken.folder)
    with pytest.raises(InputError, match="begun with another recipe"):
        train(tiny_recipe.with_training(9, None), [manifest], unbroken.folder, resume=True)
    done = train(tiny_recipe.with_training(4, None), [manifest], unbroken.folder, resume=True)
    assert len(done.last_model()[1]) == 4


def nan_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    return y_pred[0, 0, 0] * float("nan")


def test_a_loss_that_is_not_a_number_stops_it_in_one_line(
    manifest, tiny_recipe, tmp_path, monkeypatch
):
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

    monkeypatch.setattr(DeepSpeech2, "compute_loss", nan_loss)
    with pytest.raises(InputError, match="the loss is nan at batch 1"):
        train(tiny_recipe, [manifest], tmp_path / "run")
    with pytest.raises(InputError, match="no epoch is finished: train it again, without --resume"):
        train(tiny_recipe, [manifest], tmp_path / "run", resume=True)
    monkeypatch.undo()
    once = tiny_recipe.with_training(1, None)
    run = train(once, [manifest], tmp_path / "run")  # the failed one is not in the way
    assert len(run.last_model()[1]) == 1


def test_settings_of_the_loop_work_together(manifest, tiny_recipe, tmp_path):
    """Mixed precision, gradient accumulation, averaged weights, SortaGrad and cached variants."""
    training = dataclasses.replace(
        tiny_recipe.training,
        epochs=6,
        learning_rate=1e-2,
        precision="bfloat16",
        gradient_accumulation=2,
        ema=0.5,
        sorted_first_epoch=True,
        batch_seconds=12.0,
        cached_augmentations=2,
        keep_best=3,
    )
    recipe = dataclasses.replace(tiny_recipe, training=training)
    run = train(recipe, [manifest], tmp_path / "run", cache=tmp_path / "cache")
    model, history = run.last_model()
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert len(list(run.folder.glob("epoch-*.keras"))) == 3
    assert all(weight.dtype == "float32" for weight in model.weights)
    averages = [np.asarray(v) for v in model.optimizer.variables if "average" in v.path]
    assert len(averages) == len(model.trainable_variables)


def test_patience_ends_a_training_that_no_longer_improves(manifest, tiny_recipe, tmp_path):
    training = dataclasses.replace(tiny_recipe.training, epochs=9, learning_rate=1e-9, patience=2)
    recipe = dataclasses.replace(tiny_recipe, training=training)
    run = train(recipe, [manifest], tmp_path / "run")
    assert len(run.last_model()[1]) == 3
    again = train(recipe, [manifest], tmp_path / "run", resume=True)
    assert len(again.last_model()[1]) == 3


def test_a_run_begins_with_the_weights_of_another(manifest, tiny_recipe, unbroken, tmp_path):
    """Fine-tuning: without learning, weights and statistics are the parent's."""
    still = dataclasses.replace(
        tiny_recipe.training, epochs=1, learning_rate=1e-12, weight_decay=0.0
    )
    run = train(
        dataclasses.replace(tiny_recipe, training=still),
        [manifest],
        tmp_path / "run",
        init_from=unbroken.folder,
    )
    assert run.specification.mean == unbroken.specification.mean
    assert (
        run.specification.training["initialised_from"] == {"name": "tiny"} | unbroken.best_figures()
    )
    pairs = zip(
        run.best_model().trainable_variables, unbroken.best_model().trainable_variables, strict=True
    )
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.fixture(scope="module")
def rounded(manifest, tiny_recipe, unbroken, tmp_path_factory):
    """Two more epochs of quantization-aware training, interrupted after the first."""
    recipe = tiny_recipe.with_training(epochs=2, qat=True)
    folder = tmp_path_factory.mktemp("run") / "rounded"
    save = Run.save_epoch

    def stop_after_one(self, model, history):
        save(self, model, history)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_epoch", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, [manifest], folder, init_from=unbroken.folder)
    return train(recipe, [manifest], folder, resume=True)


def test_training_goes_on_as_int8_rounds(rounded, unbroken):
    """The loss stays about where the float training ended, and every weight changes."""
    model, history = rounded.last_model()
    assert len(history) == 2
    assert history[-1]["loss"] < 1.02 * unbroken.last_model()[1][-1]["loss"]
    assert set(model.ranges) >= {"features", "conv0", "gru0/h", "logits"}
    assert rounded.specification.training["quantization_aware"]
    moved = [
        not np.allclose(mine, theirs, atol=1e-6)
        for mine, theirs in zip(
            model.trainable_variables, unbroken.best_model().trainable_variables, strict=True
        )
    ]
    assert all(moved)


def test_what_was_trained_as_int8_rounds_is_converted_and_compared_with_its_parent(
    rounded, unbroken, manifest, ds2edge, tmp_path
):
    int8 = tmp_path / "int8.tflite"
    converted = ds2edge("convert", rounded.folder, "-o", int8)
    assert converted.returncode == 0, converted.stderr
    options = ("--split", "dev", "--max-wer-increase", 100)
    compared = ds2edge("parity", unbroken.folder, manifest, "-m", int8, *options)
    assert compared.returncode == 0, compared.stderr
    parent = tmp_path / "parent.tflite"
    converted = ds2edge("convert", unbroken.folder, "--mode", "dynamic", "-o", parent)
    assert converted.returncode == 0, converted.stderr
    refused = ds2edge("parity", rounded.folder, manifest, "-m", parent, "--split", "dev")
    assert refused.returncode == 2
    assert "another run" in refused.stderr


def test_rounding_needs_a_run_to_begin_with(manifest, ds2edge, tmp_path):
    refused = ds2edge("train", "mini", manifest, "-o", tmp_path / "run", "--qat")
    assert refused.returncode == 2
    assert "give --init-from RUN" in refused.stderr


def test_outputs_are_begun_with_by_their_symbol(unbroken, tiny_recipe):
    from ds2edge.train.fine_tune import copy_weights
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

    alphabet = ("", "b", "é", "a")
    model = DeepSpeech2(tiny_recipe.model, tiny_recipe.features.bins, len(alphabet))
    fresh = np.asarray(model.dense.kernel)[:, 2].copy()
    copy_weights(unbroken, model, alphabet)
    parent = unbroken.best_model()
    for index, symbol in ((0, ""), (1, "b"), (3, "a")):
        column = unbroken.specification.alphabet.index(symbol)
        np.testing.assert_array_equal(model.dense.kernel[:, index], parent.dense.kernel[:, column])
    np.testing.assert_array_equal(model.dense.kernel[:, 2], fresh)
    np.testing.assert_array_equal(
        model.recurrences[0].recurrence.cell.kernel, parent.recurrences[0].recurrence.cell.kernel
    )


@pytest.fixture(scope="module")
def in_pieces(manifest, tiny_recipe, unbroken, tmp_path_factory):
    """A run with pieces of words, which started from one with letters."""
    recipe = dataclasses.replace(tiny_recipe.with_training(1, None), text=TextSettings(40))
    return train(
        recipe, [manifest], tmp_path_factory.mktemp("run") / "pieces", init_from=unbroken.folder
    )


def test_a_run_in_pieces_is_resumed_evaluated_and_converted(in_pieces, manifest, ds2edge, tmp_path):
    assert len(in_pieces.specification.alphabet) == 40
    assert in_pieces.best_model().dense.bias.shape == (40,)
    done = train(in_pieces.recipe, [manifest], in_pieces.folder, resume=True)
    assert done.symbols().alphabet == in_pieces.specification.alphabet
    for command in (
        ("evaluate", manifest, "-m", in_pieces.folder, "--split", "dev", "--beam", "4"),
        ("convert", in_pieces.folder, "--mode", "float32", "-o", tmp_path / "pieces.tflite"),
        ("parity", in_pieces.folder, manifest, "-m", tmp_path / "pieces.tflite", "--split", "dev"),
        ("info", "-m", tmp_path / "pieces.tflite"),
    ):
        finished = ds2edge(*command)
        assert finished.returncode == 0, finished.stderr
    assert "pieces of words" in finished.stdout


def test_a_run_begins_with_the_pieces_of_another_where_it_wants_as_many(
    in_pieces, manifest, tiny_recipe, tmp_path
):
    few = tmp_path / "few.jsonl"  # too few texts to learn 40 pieces from
    rows = manifest.read_text().splitlines()
    few.write_text("\n".join([*rows[:4], rows[-1]]))
    tuned = train(in_pieces.recipe, [few], tmp_path / "tuned", init_from=in_pieces.folder)
    assert tuned.symbols().pieces == in_pieces.symbols().pieces
    with pytest.raises(InputError, match=r"pieces = 40: these texts allow at most \d\d"):
        train(in_pieces.recipe, [few], tmp_path / "anew")
    with pytest.raises(
        InputError, match=r"keeps its run's symbols: give the recipe the same \[text\]"
    ):
        train(
            tiny_recipe.with_training(qat=True),
            [few],
            tmp_path / "rounded",
            init_from=in_pieces.folder,
        )
    assert not (tmp_path / "rounded").exists()


def test_a_parent_of_another_shape_is_refused(manifest, tiny_recipe, unbroken, tmp_path):
    wider = dataclasses.replace(tiny_recipe, model=dataclasses.replace(tiny_recipe.model, width=25))
    with pytest.raises(
        InputError, match=r"another shape .*: give a recipe with the same \[model\]"
    ):
        train(wider, [manifest], tmp_path / "run", init_from=unbroken.folder)
    assert not (tmp_path / "run").exists()


def test_curves_hold_figures_transcripts_and_spectrograms(unbroken, resumed):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for run in (unbroken, resumed):
        events = EventAccumulator(str(run.tensorboard)).Reload()
        tags = events.Tags()
        assert {"loss", "dev_wer", "dev_cer"} <= set(tags["scalars"])
        _, history = run.last_model()
        figures = [(event.step, pytest.approx(event.value)) for event in events.Scalars("dev_cer")]
        assert figures == [(row["epoch"], row["dev_cer"]) for row in history]
        assert len(tags["images"]) == 3
        assert "dev/text_summary" in tags["tensors"]
