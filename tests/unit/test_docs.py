"""The pages: links and paths lead somewhere, and the command lines in them can be parsed."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from ds2edge.runtime.cli import main
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.pretrained import model_path
from ds2edge.runtime.specification import read_specification

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("benchmarks", "convert", "devices", "docs", "runtime", "tests", "train")
IN_FOLDERS = [
    page
    for folder in FOLDERS
    for page in (ROOT / folder).rglob("*.md")
    if "node_modules" not in page.parts
]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"), *IN_FOLDERS])
# The changelog also tells of options and paths that are gone.
CURRENT_PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]
NOTEBOOKS = (ROOT / "train/colab.ipynb", ROOT / "convert/specialise/colab.ipynb")
SCRIPTS = (ROOT / "devices/raspberrypi/install.sh", ROOT / "train/data/mini/make.py")
CODE_BLOCK = re.compile(r"^```(?s:.*?)^```|(?:^ {4}.*\n?)+", re.MULTILINE)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
REPOSITORY_PATH = re.compile(rf"(?<![\w./~-])(?:{'|'.join(FOLDERS)}|typings)/[\w./*-]*\w")
TEST_FILE = re.compile(r"\b(?:unit/|slow/)?test_\w+\.py\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def named(page: Path) -> str:
    """How a failing page is called."""
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=named)
every_current_page = pytest.mark.parametrize("page", CURRENT_PAGES, ids=named)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = HEADING.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@every_page
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@every_current_page
def test_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    paths = set(REPOSITORY_PATH.findall(text))
    missing = [path for path in paths if not list(ROOT.glob(path))]
    missing += [
        name
        for name in TEST_FILE.findall(text)
        if not list((ROOT / "tests").rglob(name.rpartition("/")[2]))
    ]
    assert not missing


def shell_lines(text: str) -> Iterator[str]:
    """The lines of the code blocks of a page; those that end with a backslash are joined."""
    for block in CODE_BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()


def shell_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, between pipes, `&&` and the like, without comments."""
    tokens = shlex.shlex(line, posix=True, punctuation_chars="|&;()")
    tokens.whitespace_split = True
    words: list[str] = []
    for token in [*tokens, ";"]:
        if set(token) <= set("|&;()"):
            yield words
            words = []
        else:
            words.append(token)


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after `ds2edge` in each command of the code blocks of a page."""
    for line in shell_lines(text):
        try:
            commands = list(shell_commands(line))
        except ValueError:  # an apostrophe in a line that is not for a shell
            continue
        for words in commands:
            while words and re.match(r"[A-Z][A-Z0-9_]*=", words[0]):
                words = words[1:]
            if words and Path(words[0]).name == "ds2edge":
                yield words[1:]


def parse(words: list[str]) -> None:
    """Parse a command line without running it. click.UsageError if click would refuse it.

    A line with `...` is an outline: it may lack what a command requires.
    """
    outline = any("..." in word for word in words)
    words = [word for word in words if "..." not in word or re.search(r"\w", word)]
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        inner = command.get_command(context, name)
        if inner is None:
            raise click.UsageError(f"no command {name}")
        command, context = inner, click.Context(inner, parent=context)
    _, left, given = command.make_parser(context).parse_args(list(words))
    if left and not isinstance(command, click.Group):
        raise click.UsageError(f"too many arguments: {left}")
    for parameter in command.params:
        if parameter.required and parameter not in given and not outline:
            raise click.UsageError(f"{parameter.human_readable_name} is missing")


def refused(lines: Iterator[list[str]]) -> list[str]:
    """Those of the command lines that click refuses, with its reason."""
    problems = []
    for words in lines:
        try:
            parse(words)
        except (click.UsageError, ValueError) as error:
            problems.append(f"ds2edge {' '.join(words)}: {error}")
    return problems


@every_current_page
def test_command_lines_can_be_parsed(page):
    assert not refused(command_lines(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_command_lines_of_the_notebooks_can_be_parsed(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
    commands = [line.strip()[1:] for line in lines if line.strip().startswith("!ds2edge")]
    assert len(commands) > 3
    assert not refused(shlex.split(line)[1:] for line in commands)


@cache
def all_options() -> set[str]:
    """Every long option of `ds2edge` and of the scripts that the pages describe."""
    found = {option for script in SCRIPTS for option in OPTION.findall(script.read_text("utf-8"))}
    commands: list[click.Command] = [main]
    while commands:
        command = commands.pop()
        found |= {option for parameter in command.params for option in parameter.opts}
        found |= {option for parameter in command.params for option in parameter.secondary_opts}
        if isinstance(command, click.Group):
            context = click.Context(command)
            listed = (command.get_command(context, name) for name in command.list_commands(context))
            commands += [inner for inner in listed if inner]
    return found | {"--help"}


@every_current_page
def test_options_named_in_the_text_exist(page):
    prose = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    spans = [code for code in INLINE_CODE.findall(prose) if re.match(r"--|ds2edge|install", code)]
    named_options = {option for code in spans for option in OPTION.findall(code)}
    assert named_options <= all_options()


def test_nothing_says_to_install_a_name_that_is_not_ours():
    """The name deepspeech2-edge on PyPI does not belong to this project."""
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    files = [*PAGES, *NOTEBOOKS, *sources]
    wrong = re.compile(r"pip install [^\n]*deepspeech2[-_]edge(?!-)")
    guilty = {path for path in files if wrong.search(path.read_text(encoding="utf-8"))}
    assert {named(path) for path in guilty} == set()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("arecord | ds2edge listen --nosuch", "--nosuch"),
        ("X=1 .venv/bin/ds2edge bench a && echo", "too many arguments"),
        ("ds2edge nosuch  # a comment", "no command nosuch"),
        ("ds2edge data join manifest.jsonl", "folder is missing"),
    ],
)
def test_wrong_command_lines_are_found(line, reason):
    """Proof that the tests above can fail."""
    [problem] = refused(command_lines(f"Text.\n\n    {line}\n"))
    assert reason in problem


@every_current_page
def test_names_imported_in_python_examples_exist(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ds2edge"):
                module = importlib.import_module(str(node.module))
                assert not [name.name for name in node.names if not hasattr(module, name.name)]


@every_current_page
def test_templates_in_the_examples_compile_for_the_bundled_model(page, tmp_path):
    pytest.importorskip("hassil", reason="hassil is not installed (the extra `phrases`)")
    alphabet = read_specification(model_path("pretrained")).alphabet
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        if block.startswith(("intents:", "language:")):
            file = tmp_path / "example.yaml"
            file.write_text(block)
            Phrases.load(file)(alphabet, 0.08)
