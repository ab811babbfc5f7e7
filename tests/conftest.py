"""Fixtures: sound files, a small model with untrained weights, and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import MINI, RATE, TINY, babble, jolted_run


@pytest.fixture
def wav(tmp_path):
    """A function that writes babble as a sound file: rate, channels and subtype as asked."""

    def write(
        name: str,
        seconds: float = 1.0,
        rate: int = RATE,
        channels: int = 1,
        subtype: str | None = None,
    ) -> Path:
        path = tmp_path / name
        soundfile.write(
            path, np.repeat(babble(seconds, rate)[:, None], channels, 1), rate, subtype=subtype
        )
        return path

    return write


@pytest.fixture(scope="session")
def ds2edge():
    """Runs the command in a process of its own, as a user would: exit code, output, errors."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("ds2edge")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(scope="session")
def tiny_toml(tmp_path_factory):
    """The file of a recipe that trains in seconds."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_recipe(tiny_toml):
    """That recipe."""
    from ds2edge.train.recipe import read_recipe

    return read_recipe(tiny_toml)


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe, tmp_path_factory):
    """A run with random weights, saved as if one epoch had been trained."""
    return jolted_run(tiny_recipe, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def tiny_model(tiny_run, tmp_path_factory):
    """The tiny run as a float32 .tflite file."""
    from ds2edge.convert.conversion import convert_run

    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    convert_run(tiny_run.folder, "float32", [], path, chunk_steps=4, isolated=False)
    return path


@pytest.fixture(scope="session")
def tiny_int8(tiny_run, mini_clips, tmp_path_factory):
    """The tiny run as an int8 .tflite file."""
    from ds2edge.convert.conversion import convert_run

    path = tmp_path_factory.mktemp("int8") / "tiny.tflite"
    convert_run(tiny_run.folder, "int8", mini_clips[:6], path, chunk_steps=4, isolated=False)
    return path


@pytest.fixture(scope="session")
def mini_clips():
    """The embedded corpus."""
    from ds2edge.train.data.manifest import read_manifest

    return read_manifest(MINI)
