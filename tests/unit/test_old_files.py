"""Files of earlier versions, whose keys had other names, can still be read and trained on."""

import dataclasses
import io
import json
import zipfile

import pytest
from support import GOLDEN, MINI, jolted_run

from ds2edge.runtime import read_specification
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.specification import Specification
from ds2edge.train.inputs import read_input
from ds2edge.train.run import Run

OLD_NAMES = {
    "gradient_accumulation": "accumulate",
    "cached_augmentations": "variants",
    "keep_best": "keep",
}
NEW_SETTINGS = ("decay_share",)  # that no earlier version wrote


@pytest.fixture
def old_run(tiny_recipe, tmp_path):
    """A run of two epochs, one of them trained, in the words of the version before the renaming."""
    training = dataclasses.replace(
        tiny_recipe.training, gradient_accumulation=2, cached_augmentations=3, keep_best=4
    )
    recipe = dataclasses.replace(tiny_recipe, training=training)
    run = jolted_run(recipe, tmp_path / "run")
    path = run.folder / "recipe.json"
    values = json.loads(path.read_text())
    values["training"] = {
        OLD_NAMES.get(name, name): value
        for name, value in values["training"].items()
        if name not in NEW_SETTINGS
    }
    path.write_text(json.dumps(values))
    assert {"accumulate", "variants", "keep"} <= set(values["training"])
    assert "deviation" in json.loads((run.folder / "specification.json").read_text())
    return run


def test_a_run_of_before_the_renaming_is_opened(old_run):
    opened = Run.open(old_run.folder)
    assert opened.recipe == old_run.recipe
    assert opened.specification == old_run.specification
    assert opened.recipe.training.cached_augmentations == 3
    assert opened.recipe.training.decay_share == 1.0
    assert opened.best_figures()["best_epoch"] == 1


def test_a_run_of_before_the_renaming_is_resumed(old_run):
    inputs = read_input(old_run.recipe, [MINI], old_run.folder, resume=True)
    assert inputs.begun.recipe == old_run.recipe
    other = old_run.recipe.with_training(epochs=9)
    with pytest.raises(InputError, match="epochs is 2 there and 9 here"):
        read_input(other, [MINI], old_run.folder, resume=True)


def test_a_released_model_has_the_old_keys_and_is_opened():
    with zipfile.ZipFile(io.BytesIO(GOLDEN.read_bytes())) as archive:
        text = archive.read("ds2edge.json").decode()
    written = json.loads(text)
    assert "std" not in written
    specification = read_specification(GOLDEN)
    assert specification.std == tuple(written["deviation"])
    assert Specification.from_json(text, "golden") == specification


@pytest.mark.slow
def test_a_training_with_the_old_optimizer_continues(old_run, mini_clips, tmp_path):
    """Earlier versions used Keras's own cosine schedule, which their checkpoints name."""
    import keras

    from ds2edge.train.data.manifest import write_manifest
    from ds2edge.train.data.text import LETTERS
    from ds2edge.train.model.deepspeech2 import DeepSpeech2
    from ds2edge.train.trainer import train

    recipe = old_run.recipe
    model = DeepSpeech2(recipe.model, recipe.features.bins, len(LETTERS))
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 9, warmup_target=1e-3, warmup_steps=1)
    model.compile(keras.optimizers.AdamW(schedule, gradient_accumulation_steps=2))
    model.optimizer.build(model.trainable_variables)
    figures = {"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0, "seconds": 1.0}
    old_run.save_epoch(model, [figures])
    train_clips = [clip for clip in mini_clips if clip.split == "train"][:16]
    dev_clips = [clip for clip in mini_clips if clip.split == "dev"][:4]
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, train_clips + dev_clips)
    run = train(recipe, [manifest], old_run.folder, resume=True)
    assert [row["epoch"] for row in run.last_model()[1]] == [1, 2]
