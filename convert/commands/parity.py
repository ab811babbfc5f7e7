"""`ds2edge parity`: compares converted models with the float model of their run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ds2edge.runtime.commands.options import ModelPath
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.train.data.manifest import SPLITS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--model",
    "models",
    metavar="FILE",
    multiple=True,
    required=True,
    type=ModelPath(),
    help="Model to compare (.tflite), or `pretrained`. Repeat the option for several models.",
)
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(SPLITS),
    help="Split of the manifest to transcribe.",
)
@click.option(
    "--max-wer-increase",
    metavar="POINTS",
    type=float,
    default=0.5,
    show_default=True,
    help="Points by which a model's WER may exceed that of the float model.",
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Output folder for parity.html, .md and .json.",
)
def parity(
    run: Path,
    manifest: Path,
    models: tuple[Path, ...],
    split: str,
    max_wer_increase: float,
    output: Path | None,
) -> None:
    """Compare converted models with the float model.

    All models transcribe the clips of MANIFEST; the float model is the best epoch of RUN. The
    report shows word errors, speed, memory, and which stage of the network adds most noise. The
    exit code is 1 if a model's WER rises by more than --max-wer-increase.
    """
    from ds2edge.convert.conversion import convert_run, converted_specification
    from ds2edge.convert.parity.measure import measure_parity, require_same_model
    from ds2edge.runtime.network import Network
    from ds2edge.train.data.manifest import read_manifest
    from ds2edge.train.files import make_folder
    from ds2edge.train.run import Run

    reference = converted_specification(Run.open(run))
    networks = [Network(model) for model in models]
    for network in networks:
        require_same_model(reference, network.path, network.specification)
    clips = read_manifest(manifest, split)
    if output:
        make_folder(output)
    from ds2edge.convert.parity.report import markdown, write_report  # slow: imports matplotlib

    with tempfile.TemporaryDirectory() as scratch:
        float_model = Path(scratch) / "float32.tflite"
        convert_run(run, "float32", [], float_model, networks[0].graph.chunk_steps)
        result = measure_parity(float_model, models, clips, max_wer_increase)
    click.echo(markdown(result), nl=False)
    if output:
        write_report(result, output)
    if result.failed:
        rises = ", ".join(f"{c.model.name} by {c.wer_increase:.2f} points" for c in result.failed)
        raise QualityCheckFailed(
            f"WER rose by more than --max-wer-increase {max_wer_increase:g}: {rises}"
        )
