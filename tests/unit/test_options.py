"""Options that commands share: the model, and groups of options."""

from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ds2edge.runtime.commands.option_group import option_group
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.pretrained import PRETRAINED


@click.command()
@model_option
def show_model(model: Path) -> None:
    click.echo(repr(model))


@pytest.mark.parametrize("arguments", [[], ["-m", "pretrained"], ["--model", "pretrained"]])
def test_the_bundled_model_is_the_default_and_has_a_name(arguments):
    assert CliRunner().invoke(show_model, arguments).output == f"{PRETRAINED!r}\n"


def test_a_model_is_a_path_given_as_option_or_in_the_environment():
    expected = f"{Path('a.tflite')!r}\n"
    assert CliRunner().invoke(show_model, ["-m", "a.tflite"]).output == expected
    environment = {"DS2EDGE_MODEL": "a.tflite"}
    assert CliRunner().invoke(show_model, env=environment).output == expected
    environment = {"DS2EDGE_MODEL": "pretrained"}
    assert CliRunner().invoke(show_model, env=environment).output == f"{PRETRAINED!r}\n"


def test_a_file_named_pretrained_takes_precedence():
    runner = CliRunner()
    with runner.isolated_filesystem():
        Path("pretrained").touch()
        assert runner.invoke(show_model, []).output == f"{Path('pretrained')!r}\n"


@dataclass
class Size:
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width > self.height:
            raise ValueError("wider than high")


@click.command()
@option_group("size", Size, click.option("--width", type=int), click.option("--height", default=3))
@click.option("--name")
def show_size(size: Size, name: str) -> None:
    click.echo(f"{name}: {size.width} x {size.height}")


@click.command()
@option_group("size", Size, click.option("--width", type=int), click.option("--height", default=3))
def show_height(size: Size, height: int) -> None:
    click.echo(f"{size.width} x {size.height}, {height}")


def test_a_parameter_that_the_command_has_too_goes_to_both():
    assert CliRunner().invoke(show_height, ["--width", "2"]).output == "2 x 3, 3\n"


def test_the_options_of_a_group_arrive_as_one_object():
    result = CliRunner().invoke(show_size, ["--name", "a", "--width", "2"])
    assert result.output == "a: 2 x 3\n"


def test_a_value_that_a_group_refuses_is_an_input_error():
    result = CliRunner().invoke(show_size, ["--width", "4"])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "wider than high"


def test_the_help_lists_options_in_their_order():
    text = CliRunner().invoke(show_size, ["--help"]).output
    assert text.index("--width") < text.index("--height") < text.index("--name")
