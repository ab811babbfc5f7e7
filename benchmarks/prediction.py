"""How well training foresees int8: the rounding Keras model of a run of `ds2edge train --qat` against its int8 file.

    python benchmarks/prediction.py RUN MODEL MANIFEST [--clips 100]

The same clips of split test go through both, and through the Keras model without rounding: what rounding would explain.
"""

from __future__ import annotations

from pathlib import Path

import click
import keras
import numpy as np

from ds2edge.convert.parity.trace import StreamTracer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.pipeline.feature_cache import padding_of
from ds2edge.train.progress import track
from ds2edge.train.run import Run

PADDED_FRAMES = 256  # few lengths, few graphs


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--clips", default=100, show_default=True)
def main(run: Path, model: Path, manifest: Path, clips: int) -> None:
    """Prints the agreement of MODEL, the int8 file of RUN, with what RUN's model computes with and without rounding."""
    trained, tracer = Run.open(run), StreamTracer(model)
    specification, rounding = trained.specification, trained.best_model()
    ranges = rounding.ranges
    if not ranges:
        raise click.UsageError(f"{run}: has no ranges: it was trained without --qat")
    measure = specification.front_end()
    chosen = read_manifest(manifest, "test")[:clips]
    sounds = [read_audio(clip.audio, specification.features.sample_rate) for clip in chosen]
    said = [tracer.trace(samples).logits.values for samples in sounds]
    heard = np.concatenate(said)
    for name, used in (("as int8 rounds", ranges), ("without rounding", {})):
        rounding.round_to(used)
        computed = []
        for samples, logits in track(list(zip(sounds, said, strict=True)), name, len(sounds)):
            frames = measure.padded(samples, padding_of(rounding.settings))
            padded = np.pad(frames, ((0, -len(frames) % PADDED_FRAMES), (0, 0)))[None]
            inputs = {"features": padded, "lengths": np.array([len(frames)], np.int32)}
            computed.append(
                keras.ops.convert_to_numpy(rounding.predict_on_batch(inputs))[0][: len(logits)]
            )
        expected = np.concatenate(computed)
        agreed = 100 * (expected.argmax(-1) == heard.argmax(-1)).mean()
        decibels = 10 * np.log10((expected**2).sum() / ((expected - heard) ** 2).sum())
        print(f"{name}: {agreed:.2f} % of {len(heard)} steps agree, {decibels:.1f} dB")


if __name__ == "__main__":
    main()
