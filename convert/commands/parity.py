"""`ds2edge parity`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.train.data.manifest import SPLITS


@click.command(short_help="Compare converted models with the float model.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(SPLITS), help="Of the manifest."
)
@click.option(
    "--max-wer-increase",
    type=float,
    default=0.5,
    show_default=True,
    help="Points by which a WER may exceed the float model's: past it, exit code 1.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Folder for parity.html, .md and .json."
)
def parity(
    run: Path,
    models: tuple[Path, ...],
    manifest: Path,
    split: str,
    max_wer_increase: float,
    report: Path | None,
) -> None:
    """Compare each MODEL, word by word and stage by stage, with the float model of RUN that it came from.

    All run the clips of MANIFEST in turn, on one thread: what they say, how fast and in how much memory, and which
    stage of the network loses most.
    """
    from ds2edge.convert.conversion import convert
    from ds2edge.convert.parity.measure import measure
    from ds2edge.convert.parity.report import markdown, write_report
    from ds2edge.runtime.network import Network
    from ds2edge.train.data.manifest import read_manifest
    from ds2edge.train.files import make_folder

    clips, chunks = (
        read_manifest(manifest, split),
        [Network(model).graph.chunk_steps for model in models],
    )
    if report:
        make_folder(report)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "float32.tflite"
        convert(run, "float32", [], reference, chunks[0])
        result = measure(reference, models, clips, max_wer_increase)
    click.echo(markdown(result), nl=False)
    if report:
        write_report(result, report)
    if result.failed:
        rises = ", ".join(
            f"{failed.model.name} by {failed.wer_increase:.2f} points" for failed in result.failed
        )
        raise QualityCheckFailed(f"WER rose past --max-wer-increase {max_wer_increase:g}: {rises}")
