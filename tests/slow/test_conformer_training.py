"""The conformer learns, resumes, is fine-tuned with rounding, and runs under other backends."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from support import MINI, jolt

from ds2edge.convert.conversion import convert_run
from ds2edge.convert.inspection import inspect_model
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.recipe import Convolution, ModelSettings, read_recipe
from ds2edge.train.run import Run
from ds2edge.train.trainer import train

pytestmark = pytest.mark.slow

RECIPE = """
name = "tiny"
[features]
mel_bands = 32
[model]
encoder = "conformer"
width = 16
depth = 1
heads = 2
chunk = 5
context = 12
kernel = 3
lookahead = 3
dropout = 0.1
convolutions = [{ channels = 4, kernel = [5, 11], stride = [4, 4] }]
[training]
epochs = 2
batch_size = 8
learning_rate = 1e-2
"""
TRAIN = """
import sys
import keras, numpy as np
import ds2edge.train.model
model = keras.saving.load_model(sys.argv[1])
data = dict(np.load(sys.argv[2]))
inputs = {name: data[name] for name in ("features", "lengths")}
targets = {name: data[name] for name in ("labels", "label_lengths")}
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(inputs)))
model.compile(keras.optimizers.Adam(1e-2))
losses = [float(model.train_on_batch(inputs, targets)) for _ in range(8)]
print(losses[0], losses[-1])
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A few clips of the embedded corpus."""
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    chosen = [r for r in rows if r["split"] == "train"][:16]
    chosen += [r for r in rows if r["split"] == "dev"][:2]
    path.write_text(
        "".join(json.dumps(r | {"audio": str(MINI.parent / r["audio"])}) + "\n" for r in chosen)
    )
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return read_recipe(path)


@pytest.fixture(scope="module")
def unbroken(manifest, recipe, tmp_path_factory):
    return train(recipe, [manifest], tmp_path_factory.mktemp("run") / "unbroken")


def test_it_learns_and_a_resumed_training_ends_where_the_unbroken_one_does(
    manifest, recipe, unbroken, tmp_path, monkeypatch
):
    save = Run.save_epoch

    def stop_after_one(self, model, history):
        if len(history) == 2:
            raise KeyboardInterrupt
        save(self, model, history)

    with monkeypatch.context() as stop:
        stop.setattr(Run, "save_epoch", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, [manifest], tmp_path / "run")
    resumed = train(recipe, [manifest], tmp_path / "run", resume=True)
    model, history = unbroken.last_model()
    assert history[-1]["loss"] < history[0]["loss"]
    for one, other in zip(resumed.last_model()[0].weights, model.weights, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)


@pytest.mark.long
def test_rounded_training_gives_the_ranges_of_an_int8_file(manifest, recipe, unbroken, tmp_path):
    rounded = train(
        recipe.with_training(epochs=1, qat=True),
        [manifest],
        tmp_path / "rounded",
        init_from=unbroken.folder,
    )
    assert rounded.last_model()[1][0]["loss"] < unbroken.last_model()[1][0]["loss"]
    path = tmp_path / "m.tflite"
    converted = convert_run(rounded.folder, "int8", [], path, chunk_steps=5, isolated=False)
    assert "ranges as trained" in converted.calibration
    assert inspect_model(path).partitions == 1


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_computes_the_same_logits_and_learns(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    settings = ModelSettings(
        (Convolution(4, (5, 11), (4, 4)),), width=16, depth=1, encoder="conformer", chunk=5
    )
    keras.utils.set_random_seed(0)
    model = DeepSpeech2(settings, 32, 7)
    jolt(model)
    model.save(tmp_path / "m.keras")
    data = {
        "features": np.random.default_rng(0).standard_normal((2, 160, 32)).astype(np.float32),
        "lengths": np.array([160, 140], np.int32),
        "labels": np.array([[1, 2, 3], [4, 5, 0]], np.int32),
        "label_lengths": np.array([3, 2], np.int32),
    }
    np.savez(tmp_path / "data.npz", **data)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *(tmp_path / n for n in ("m.keras", "data.npz", "y.npy"))],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = np.asarray(model({name: data[name] for name in ("features", "lengths")}))
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-4)
    first, last = map(float, done.stdout.split())
    assert last < 0.7 * first
