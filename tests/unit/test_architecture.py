"""Which folder may import which: no circle, no arrow upward, no private name of another package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("runtime", "train", "convert", "devices")  # each may import those before it
SCRIPTS = ("train/pretrained", "train/data/mini")  # run by hand, imported by nobody
# The folders of its package that a folder may import. Flat modules are bound by the absence of
# circles alone.
ROOMS = {
    "runtime.audio": set(),
    "runtime.decoding": set(),
    "runtime.phrases": {"runtime.decoding"},
    "runtime.live": {"runtime.audio"},
    "runtime.serve": {"runtime.decoding", "runtime.phrases"},
    "runtime.commands": {
        "runtime.audio",
        "runtime.decoding",
        "runtime.live",
        "runtime.phrases",
        "runtime.serve",
    },
    "train.data": set(),
    "train.augmentation": set(),
    "train.language_model": set(),
    "train.corpora": {"train.data"},
    "train.model": set(),
    "train.pipeline": {"train.augmentation", "train.data"},
    "train.synthesis": {"train.corpora", "train.data"},
    "train.evaluation": {"train.augmentation", "train.data", "train.model", "train.pipeline"},
    "train.words": {"train.data", "train.evaluation", "train.synthesis"},
    "train.commands": {
        "train.corpora",
        "train.data",
        "train.evaluation",
        "train.language_model",
        "train.synthesis",
        "train.words",
    },
    "convert.parity": set(),
    "convert.specialise": {"convert.parity"},
    "convert.commands": {"convert.parity", "convert.specialise"},
}


def modules() -> dict[str, Path]:
    """Every module of the four packages: its name without `ds2edge.`, and its file."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            others = ["devices/raspberrypi", "devices/android", *SCRIPTS]
            if not any(path.is_relative_to(ROOT / other) for other in others):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Module of the kit that a file imports, anywhere in it, and the name taken from it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ds2edge."):
            source = node.module.removeprefix("ds2edge.")
            for alias in node.names:
                if f"{source}.{alias.name}" in MODULES:
                    yield f"{source}.{alias.name}", None
                else:
                    yield source, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("ds2edge."):
                    yield alias.name.removeprefix("ds2edge."), None


def package(module: str) -> str:
    return module.split(".")[0]


def room(module: str) -> str | None:
    """The folder of a module, unless it lies flat in its package."""
    parts = module.split(".")[:2]
    return ".".join(parts) if len(parts) == 2 and (ROOT / Path(*parts)).is_dir() else None


def test_there_is_something_to_look_at():
    assert len(MODULES) > 100
    assert sum(1 for path in MODULES.values() for _ in imports(path)) > 300
    assert set(ROOMS) == {r for r in map(room, MODULES) if r}


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: {target for target, _ in imports(path)} for name, path in MODULES.items()}
    # A package's own __init__ names what its modules hold; that is no use of it by them.
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            graph[name] = set()
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_downward(name):
    for target, taken in imports(MODULES[name]):
        here, there = package(name), package(target)
        assert PACKAGES.index(there) <= PACKAGES.index(here), f"{name} imports {target}"
        mine, theirs = room(name), room(target)
        if mine and theirs and mine != theirs and here == there:
            assert theirs in ROOMS[mine], f"{name} imports {target}"
        if here != there and taken:
            assert not taken.startswith("_"), f"{name} takes {taken} from {target}"
