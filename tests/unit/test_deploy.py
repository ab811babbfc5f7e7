"""`ds2edge deploy` to a board that is played by fake ssh and scp programs."""

import dataclasses

import pytest
from click.testing import CliRunner
from support import GOLDEN

from ds2edge.devices.deploy import deploy
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Network
from ds2edge.runtime.specification import attach_specification

# Answers the command that prepares the board, and accepts all others.
SSH = """#!/bin/sh
case "$*" in *mktemp*) echo "/tmp/folder {architecture}" ;; esac
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A function that puts the programs of a board of some architecture on the PATH."""

    def make(architecture):
        for name in ("ssh", "scp"):
            program = tmp_path / name
            program.write_text(SSH.format(architecture=architecture))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


@pytest.fixture
def model(tmp_path):
    """A function that makes a model of some mode, as its specification says."""

    def make(mode):
        specification = Network(GOLDEN).specification
        graph = dataclasses.replace(specification.graph, mode=mode)
        content = GOLDEN.read_bytes()
        path = tmp_path / "m.tflite"
        path.write_bytes(content[: content.rindex(b"PK\x03\x04")])
        attach_specification(path, dataclasses.replace(specification, graph=graph))
        return path

    return make


def run_deploy(model, wheel):
    command = ["pi", "-m", str(model), "--wheel", str(wheel)]
    return CliRunner().invoke(deploy, command, catch_exceptions=False)


@pytest.mark.parametrize("mode", ["int8", "dynamic"])
def test_a_32_bit_board_does_not_get_a_model_that_it_cannot_run(board, model, mode):
    board("armhf")
    path = model(mode)
    message = f"cannot run mode {mode}: make the model with `ds2edge convert --mode armv7`"
    with pytest.raises(InputError, match=message):
        run_deploy(path, wheel=path)


@pytest.mark.parametrize(
    ("architecture", "mode"),
    [("armhf", "armv7"), ("armhf", "float32"), ("arm64", "int8"), ("arm64", "dynamic")],
)
def test_other_models_are_installed(board, model, architecture, mode):
    board(architecture)
    path = model(mode)
    done = run_deploy(path, wheel=path)
    assert done.exit_code == 0
    assert done.output == "pi: installed; not checked, because no --clip was given\n"
