"""The same training under every Keras backend; tensorflow exports the weights of each."""

import csv
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from support import MINI, babble

from ds2edge.runtime.network import Network
from ds2edge.train.run import Run

pytestmark = pytest.mark.slow

TRAIN = """
import sys
from pathlib import Path
from ds2edge.train.data.manifest import read_manifest, write_manifest
from ds2edge.train.recipe import read_recipe
from ds2edge.train.trainer import train

folder = Path(sys.argv[1])
clips = read_manifest(sys.argv[2])
chosen = [c for c in clips if c.split == "train"][:24] + [c for c in clips if c.split == "dev"][:4]
write_manifest(folder / "manifest.jsonl", chosen)
(folder / "tiny.toml").write_text(sys.argv[3])
recipe, manifests = read_recipe(folder / "tiny.toml"), [folder / "manifest.jsonl"]
train(recipe, manifests, folder / "run")
train(recipe.with_training(epochs=1, qat=True), manifests, folder / "qat", init_from=folder / "run")
"""
RECIPE = """
name = "tiny"
[features]
mel_bands = 32
[model]
cell = "{cell}"
width = 16
depth = 1
lookahead = 3
convolutions = [{{ channels = 4, kernel = [5, 11], stride = [2, 4] }}]
[training]
epochs = 4
batch_size = 8
learning_rate = 1e-2
"""


@pytest.mark.parametrize(
    ("backend", "cell"),
    [
        pytest.param("tensorflow", "gru", marks=pytest.mark.long),
        pytest.param("jax", "lstm", marks=pytest.mark.long),
        ("torch", "gru"),
    ],
)
def test_a_backend_learns_and_its_weights_are_exported(
    ds2edge, tmp_path, monkeypatch, backend, cell
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path), str(MINI), RECIPE.format(cell=cell)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")
    losses = losses_of(run)
    assert losses[-1] < 0.9 * losses[0]
    with monkeypatch.context() as patch:  # the backend of a user who trains and converts
        patch.setenv("KERAS_BACKEND", backend)
        converted = ds2edge("convert", run.folder, "--mode", "float32", "-o", tmp_path / "m.tflite")
    assert converted.returncode == 0, converted.stderr
    network = Network(tmp_path / "m.tflite")
    frames = np.resize(babble(1.0), (network.graph.chunk_frames, 32)) * 10
    logits, _ = network.step(frames, network.initial_states())
    states = {
        name: np.zeros(shape, np.float32) for name, shape in run.best_model().state_shapes().items()
    }
    expected, _ = run.best_model().step(frames[None], states)
    np.testing.assert_allclose(logits, np.asarray(expected)[0], atol=1e-4)
    rounded = Run.open(tmp_path / "qat")
    # No lower bound: the statistics of batch norm lag behind in so short a training.
    assert losses_of(rounded)[0] < losses[0]
    converted = ds2edge("convert", rounded.folder, "-o", tmp_path / "int8.tflite")
    assert converted.returncode == 0, converted.stderr
    assert "ranges as trained" in converted.stderr + converted.stdout


def losses_of(run: Run) -> list[float]:
    """The loss of each epoch. No optimizer is loaded: another backend may not know it."""
    with (run.folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]
