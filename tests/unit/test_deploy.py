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
echo "$@" >>"$0.log"
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


def run_deploy(model, wheel, *words):
    command = ["pi", "-m", str(model), "--wheel", str(wheel), *map(str, words)]
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


def test_phrases_are_compiled_and_go_to_the_service_that_serves(board, model, tmp_path):
    board("arm64")
    phrases = tmp_path / "my phrases.txt"
    phrases.write_text("turn on the light\n")
    path = model("int8")
    assert run_deploy(path, path, "--service", "serve", "--phrases", phrases).exit_code == 0
    (copied,) = (tmp_path / "scp.log").read_text().splitlines()
    assert "/phrases.ds2ph " in copied
    assert "ds2edge-serve.service" in copied
    assert (
        "--phrases /tmp/folder/phrases.ds2ph --service serve" in (tmp_path / "ssh.log").read_text()
    )


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("turn on the light\n", [], "--phrases needs --service serve"),
        ("turn on the light\n", ["--service", "user"], "--phrases needs --service serve"),
        ("\u4e2d\n", ["--service", "serve"], "phrases.txt:1: the model has no symbol for"),
    ],
)
def test_phrases_that_are_of_no_use_are_refused_before_the_board_is_asked(
    board, model, tmp_path, text, words, message
):
    board("arm64")
    phrases = tmp_path / "phrases.txt"
    phrases.write_text(text)
    path = model("int8")
    with pytest.raises(InputError, match=message):
        run_deploy(path, path, "--phrases", phrases, *words)
    assert not (tmp_path / "ssh.log").exists()
