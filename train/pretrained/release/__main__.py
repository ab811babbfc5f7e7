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

from pathlib import Path

import click

from ds2edge.runtime.cli import OneLineErrors
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.pretrained.release.recordings import TESTS


@click.command(cls=OneLineErrors, help=__doc__)
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
    "--every",
    default=3,
    show_default=True,
    type=click.IntRange(min=2),
    help="Use every nth dev clip to choose weights and to measure noise.",
)
@click.option(
    "--commands",
    type=click.Path(path_type=Path),
    help="Manifest of orders to a coffee machine, for docs/rejection.png.",
)
@click.option(
    "--wake",
    type=click.Path(path_type=Path),
    help="Manifest of clips that say 'hey computer', for docs/wake.png.",
)
def main(
    run: Path,
    manifest: Path,
    data: Path,
    work: Path,
    noise: str | None,
    tests: tuple[str, ...],
    every: int,
    commands: Path | None,
    wake: Path | None,
) -> None:
    """Runs the stages."""
    from ds2edge.train.pretrained.release import card
    from ds2edge.train.pretrained.release.release import Release
    from ds2edge.train.pretrained.release.stages import perform

    release = Release(run, manifest, data, work, noise, tests, every, commands, wake)
    results = perform(release)
    card.write(results)
    click.echo(f"{card.CARD}: figures of {', '.join(results)}")


if __name__ == "__main__":
    quiet_process()
    main()
