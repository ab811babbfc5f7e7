"""All stages of a release, in order. A stage whose result is there is not done again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.train.pretrained.release import figures, making
from ds2edge.train.pretrained.release.recordings import TESTS
from ds2edge.train.pretrained.release.release import Release
from ds2edge.train.run import Run

Stage = Callable[[Release], dict[str, Any]]
STAGES: tuple[Stage, ...] = (
    making.convert,
    making.install,
    making.weights,
    figures.precision,
    figures.level,
    figures.rate,
    figures.accuracy,
    figures.noise,
    figures.speed,
    making.rejection,
    making.vectors,
)


def perform(release: Release) -> dict[str, dict[str, Any]]:
    """The results of all stages, by name. Those that are in the folder `work` are read.

    InputError if the folder holds results from other inputs.
    """
    _require_own_folder(release)
    stages = {stage.__name__: stage for stage in STAGES}
    for test in TESTS:
        name = f"test-{test}"
        if test in release.tests or _result(release, name).exists():
            stages[name] = partial(figures.held_out, name=test)
    return {name: _once(release, name, stage) for name, stage in stages.items()}


def _result(release: Release, stage: str) -> Path:
    return release.work / f"{stage}.json"


def _once(release: Release, name: str, stage: Stage) -> dict[str, Any]:
    path = _result(release, name)
    if not path.exists():
        click.echo(f"{name} ...", err=True)
        result = json.dumps(stage(release), indent=1, ensure_ascii=False)
        write_whole(path, result + "\n")
    stored: dict[str, Any] = json.loads(read_text(path))
    return stored


def _require_own_folder(release: Release) -> None:
    """Marks `work` as the folder of these inputs."""
    made_from = {
        "checkpoint": zlib.crc32(Run.open(release.run).best.read_bytes()),
        "manifest": zlib.crc32(read_text(release.speech).encode()),
        "noise": release.noise,
        "every": release.every,
    }
    path = release.work / "made_from.json"
    if not path.exists():
        write_whole(path, json.dumps(made_from) + "\n")
    elif json.loads(read_text(path)) != made_from:
        raise InputError(
            f"{release.work}: holds results from other inputs: choose another folder with -o"
        )
