"""`ds2edge convert`: from a trained run to a .tflite file."""

from __future__ import annotations

from pathlib import Path

import click

from ds2edge.convert import INT8_MODES, MODES
from ds2edge.runtime.commands.output import require_writable
from ds2edge.runtime.specification import MAX_CHUNK_STEPS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="int8",
    show_default=True,
    help="Number format. int8: weights and activations; armv7: int8 for 32-bit Arm; "
    "dynamic: int8 weights only; float16: weights only; float32: as trained.",
)
@click.option(
    "--calibration",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="Manifest of real speech, to choose the int8 ranges. Modes int8 and armv7 need it, "
    "except after `ds2edge train --qat`.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="Output file (.tflite).",
)
@click.option(
    "--chunk-steps",
    metavar="N",
    default=16,
    show_default=True,
    type=click.IntRange(1, MAX_CHUNK_STEPS),
    help="Output steps in one run of the graph. Long chunks compute less, short chunks "
    "give text sooner.",
)
def convert(run: Path, mode: str, calibration: Path | None, output: Path, chunk_steps: int) -> None:
    """Convert a trained model to a .tflite file.

    RUN is a folder of `ds2edge train`; its best epoch is converted. A forward model transcribes
    live. A bidirectional model transcribes whole clips only.
    """
    from ds2edge.convert.conversion import convert_run
    from ds2edge.train.data.manifest import read_manifest

    require_writable(output, "model.tflite")
    clips = read_manifest(calibration) if mode in INT8_MODES and calibration else []
    conversion = convert_run(run, mode, clips, output, chunk_steps)
    if conversion.calibration:
        click.echo(conversion.calibration)
    size = output.stat().st_size / 1e6
    click.echo(f"{output}: {mode}, {size:.2f} MB, {conversion.inspection.summary()}")
