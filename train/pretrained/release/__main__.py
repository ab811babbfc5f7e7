"""Makes everything that depends on the acoustic model, and measures it.

    python -m ds2edge.train.pretrained.release RUN MANIFEST DATA -o WORK

1. Converts RUN to int8, the file for 32-bit Arm and float, calibrated on MANIFEST. The new files
   replace the shipped ones if they have fewer errors on dev.
2. Chooses the weights of the language model on dev.
3. Measures error rates, what int8 costs, levels, noise, sample rates, speed and memory on dev; on
   a test set only with `--test`.
4. Draws the curves of rejection, and writes the golden vectors.
5. Fills in docs/model-card.md.

RUN is a folder of `ds2edge train`, or train/pretrained for the shipped checkpoint. Run the command
in the folder from which it was trained, if its recipe names folders of noise. MANIFEST is what
speech.py wrote. DATA has a folder for each corpus.

WORK keeps the logits of every set and the result of every stage. The same command goes on where it
stopped. To do a stage again, delete its JSON file.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.pretrained.release import card, figures, making
from ds2edge.train.pretrained.release.recordings import TESTS
from ds2edge.train.pretrained.release.release import Release
from ds2edge.train.run import Run

Stage = Callable[[Release], dict[str, Any]]
STAGES: tuple[Stage, ...] = (
    making.convert,
    making.install,
    making.weights,
    figures.accuracy,
    figures.precision,
    figures.level,
    figures.noise,
    figures.rate,
    figures.speed,
    making.rejection,
    making.vectors,
)


def perform(release: Release) -> dict[str, dict[str, Any]]:
    """The results of all stages, by name. Those that are in the folder `work` are read.

    InputError if the folder belongs to another run or manifest.
    """
    _require_own_folder(release)
    results = {stage.__name__: _once(release, stage.__name__, stage) for stage in STAGES}
    for test in TESTS:
        name = f"test-{test}"
        if test in release.tests or _result(release, name).exists():
            results[name] = _once(release, name, partial(figures.held_out, name=test))
    return results


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
    """Marks `work` as the folder of this run and this manifest."""
    made_from = {
        "checkpoint": zlib.crc32(Run.open(release.run).best.read_bytes()),
        "manifest": zlib.crc32(read_text(release.speech).encode()),
    }
    path = release.work / "made_from.json"
    if not path.exists():
        write_whole(path, json.dumps(made_from) + "\n")
    elif json.loads(read_text(path)) != made_from:
        raise InputError(
            f"{release.work}: holds the results of another run or manifest: "
            "choose another folder with -o"
        )


@click.command(help=__doc__)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", "work", required=True, type=click.Path(path_type=Path))
@click.option("--noise", help="Folder of noise; without it, coloured noise.")
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=click.Choice(TESTS),
    help="A test set to look at. May be repeated.",
)
@click.option(
    "--wake", type=click.Path(path_type=Path), help="Manifest of clips that say 'hey computer'."
)
def main(
    run: Path,
    manifest: Path,
    data: Path,
    work: Path,
    noise: str | None,
    tests: tuple[str, ...],
    wake: Path | None,
) -> None:
    """Runs the stages."""
    release = Release(run, manifest, data, work, noise, tests, wake)
    try:
        read_manifest(manifest, "dev")
        results = perform(release)
        card.write(results)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except QualityCheckFailed as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(f"{card.CARD}: figures of {', '.join(results)}")


if __name__ == "__main__":
    quiet_process()
    main()
