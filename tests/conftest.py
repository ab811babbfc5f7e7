"""What the tests share: sound files, a small model with weights that are not trained, and the kit's command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import MINI, RATE, babble, jolt


@pytest.fixture
def wav(tmp_path):
    """A function that writes babble as a sound file: rate, channels and subtype as asked."""

    def write(name: str, seconds: float = 1.0, rate: int = RATE, channels: int = 1, subtype: str | None = None) -> Path:
        path = tmp_path / name
        soundfile.write(path, np.repeat(babble(seconds, rate)[:, None], channels, 1), rate, subtype=subtype)
        return path

    return write


@pytest.fixture(scope="session")
def ds2edge():
    """Runs the command in a process of its own, as a user would: exit code, output, errors."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("ds2edge")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def tiny_recipe():
    """A recipe that trains in seconds."""
    from ds2edge.train.recipe import Convolution, ModelSettings, Recipe, TrainingSettings

    model = ModelSettings((Convolution(4, (5, 11), (2, 4)), Convolution(4, (3, 7), (1, 3))), "gru", 24, 2, 3)
    return Recipe("tiny", model, training=TrainingSettings(epochs=2, batch_size=8))


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe, tmp_path_factory):
    """A run whose model is built, jolted out of its initial state, and saved as if one epoch had been trained."""
    import keras

    from ds2edge.runtime.features import Features
    from ds2edge.runtime.specification import Specification
    from ds2edge.train.model import DeepSpeech2
    from ds2edge.train.run import Run
    from ds2edge.train.text import ALPHABET

    keras.utils.set_random_seed(3)
    bins = tiny_recipe.features.bins
    model = DeepSpeech2(tiny_recipe.model, bins, len(ALPHABET))
    jolt(model)
    # About the level of speech, so that the quantizer meets values of the usual size.
    specification = Specification("tiny", ALPHABET, tiny_recipe.features, (-55.0,) * bins, (15.0,) * bins)
    # Talkative: what it says must depend on what it hears, or equal texts would mean nothing.
    frames = Features(tiny_recipe.features, specification.mean, specification.deviation)(babble(3.0))[None]
    model.dense.bias.assign(0 * model.dense.bias)
    logits = np.asarray(model({"features": frames, "lengths": np.array([frames.shape[1]], np.int32)}))[0]
    scale = 4 / logits.std(0).mean()
    model.dense.kernel.assign(scale * model.dense.kernel)
    model.dense.bias.assign(-scale * logits.mean(0))
    run = Run.create(tmp_path_factory.mktemp("run"), tiny_recipe, specification)
    run.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    return run


@pytest.fixture(scope="session")
def tiny_model(tiny_run, tmp_path_factory):
    """The tiny run as a float32 .tflite file."""
    from ds2edge.convert.conversion import convert

    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    convert(tiny_run.folder, "float32", [], path, chunk_steps=4)
    return path


@pytest.fixture(scope="session")
def tiny_int8(tiny_run, mini_clips, tmp_path_factory):
    """The tiny run as an int8 .tflite file."""
    from ds2edge.convert.conversion import convert

    path = tmp_path_factory.mktemp("int8") / "tiny.tflite"
    convert(tiny_run.folder, "int8", mini_clips[:6], path, chunk_steps=4)
    return path


@pytest.fixture(scope="session")
def mini_clips():
    """The embedded corpus."""
    from ds2edge.train.manifest import read_manifest

    return read_manifest(MINI)
