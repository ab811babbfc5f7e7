"""`ds2edge convert`."""

from __future__ import annotations

from pathlib import Path

import click

from ds2edge.convert import CALIBRATED, MODES
from ds2edge.runtime.commands.output import require_writable


@click.command(short_help="Convert a trained run to a .tflite file.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="int8",
    show_default=True,
    help="Weights and activations, both for 32-bit Arm, weights alone, half floats, as trained.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Manifest of real speech to choose the ranges of int8 by.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The .tflite file to write.",
)
@click.option(
    "--chunk-steps",
    default=16,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Output steps in one run of the graph: more is faster, fewer answers sooner.",
)
def convert(run: Path, mode: str, calibration: Path | None, output: Path, chunk_steps: int) -> None:
    """Turn the best epoch of RUN into one .tflite file that streams or, if bidirectional, takes whole clips."""
    from ds2edge.convert.conversion import convert as run_conversion
    from ds2edge.train.data.manifest import read_manifest

    require_writable(output, "model.tflite")
    clips = read_manifest(calibration) if mode in CALIBRATED and calibration else []
    conversion = run_conversion(run, mode, clips, output, chunk_steps)
    if conversion.calibration:
        click.echo(conversion.calibration)
    click.echo(
        f"{output}: {mode}, {output.stat().st_size / 1e6:.2f} MB, {conversion.inspection.summary()}"
    )
