"""`ds2edge convert` and `ds2edge parity`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ds2edge.convert import INT8_MODES, MODES
from ds2edge.runtime.errors import GateNotMet, InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--mode", type=click.Choice(MODES), default="int8", show_default=True,
              help="Weights and activations, both for 32-bit Arm, weights alone, half floats, as trained.")  # fmt: skip
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="Manifest of representative speech, for int8 and armv7."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tflite file to write.")
@click.option("--chunk-steps", default=16, show_default=True, type=click.IntRange(1, 256),
              help="Output steps in one run of the graph: more is faster, fewer answers sooner.")  # fmt: skip
def convert(run: Path, mode: str, calibration: Path | None, output: Path, chunk_steps: int) -> None:
    """Turn the best epoch of RUN into one .tflite file that streams."""
    from ds2edge.convert.conversion import convert as run_conversion
    from ds2edge.train.manifest import read_manifest

    if mode in INT8_MODES and calibration is None:
        raise InputError(f"--mode {mode} needs --calibration MANIFEST: real speech, of which no text is used")
    clips = read_manifest(calibration) if mode in INT8_MODES and calibration else []
    inspection = run_conversion(run, mode, clips, output, chunk_steps)
    click.echo(f"{output}: {mode}, {output.stat().st_size / 1e6:.2f} MB, {inspection.summary()}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split of the manifest to compare on.")
@click.option("--max-wer-increase", type=float, default=0.5, show_default=True,
              help="Points by which the WER of MODEL may exceed the float model's: past it, exit code 1.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), help="Folder for parity.md and parity.json.")
def parity(run: Path, model: Path, manifest: Path, split: str, max_wer_increase: float, report: Path | None) -> None:
    """Compare MODEL, word by word and stage by stage, with the float model of RUN that it came from."""
    from ds2edge.convert.conversion import convert as run_conversion
    from ds2edge.convert.parity import measure
    from ds2edge.convert.report import markdown, write_report
    from ds2edge.runtime.network import Network
    from ds2edge.train.manifest import read_manifest

    clips, chunk_steps = read_manifest(manifest, split), Network(model).graph.chunk_steps
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "float32.tflite"
        run_conversion(run, "float32", [], reference, chunk_steps)
        result = measure(reference, model, clips)
    click.echo(markdown(result))
    if report:
        write_report(result, report)
    if result.wer_increase > max_wer_increase:
        raise GateNotMet(
            f"{model}: WER rose by {result.wer_increase:.2f} points, more than --max-wer-increase {max_wer_increase:g}"
        )
