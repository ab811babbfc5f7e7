"""How well quantization-aware training predicts the int8 file.

    python benchmarks/prediction.py RUN MANIFEST -m MODEL [--clips 100]

RUN is a run of `ds2edge train --qat`, MODEL its int8 file. Clips of split test go through the file,
through the Keras model that rounds as int8 does, and through the Keras model without rounding. The
difference between the last two shows how much the rounding explains.
"""

from __future__ import annotations

from pathlib import Path

import click
import keras
import numpy as np

from ds2edge.convert.parity.trace import Tracer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, Samples
from ds2edge.runtime.quiet import quiet_process
from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.progress import track
from ds2edge.train.run import Run

PADDED_FRAMES = 256  # clips are padded to multiples of it, so that few graphs are compiled


def keras_logits(model: DeepSpeech2, features: Features, samples: Samples) -> np.ndarray:
    """Logits of a whole clip, [steps, symbols]; some steps of padding follow at the end."""
    frames = features.padded(samples, padding_of(model.settings))
    padded = np.pad(frames, ((0, -len(frames) % PADDED_FRAMES), (0, 0)))[None]
    inputs = {"features": padded, "lengths": np.array([len(frames)], np.int32)}
    logits: np.ndarray = keras.ops.convert_to_numpy(model.predict_on_batch(inputs))[0]
    return logits


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--model",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The int8 file of RUN.",
)
@click.option("--clips", default=100, show_default=True, help="Clips of split test to use.")
def main(run: Path, manifest: Path, path: Path, clips: int) -> None:
    """Print how far the Keras model of RUN agrees with its int8 file, with and without rounding."""
    quiet_process()
    trained = Run.open(run)
    tracer = Tracer(path)
    model = trained.best_model()
    ranges = model.ranges
    if not ranges:
        raise click.UsageError(f"{run}: has no ranges: it was trained without --qat")
    features = trained.specification.front_end()
    rate = trained.specification.features.sample_rate
    chosen = read_manifest(manifest, "test")[:clips]
    recordings = [read_audio(clip.audio, rate) for clip in chosen]
    by_clip = [tracer.trace(samples).logits.values for samples in recordings]
    int8 = np.concatenate(by_clip)
    for name, used in (("as int8 rounds", ranges), ("without rounding", {})):
        model.round_to(used)
        pairs = list(zip(recordings, by_clip, strict=True))
        expected = np.concatenate(
            [
                keras_logits(model, features, samples)[: len(logits)]
                for samples, logits in track(pairs, name, len(pairs))
            ]
        )
        agreement = 100 * (expected.argmax(-1) == int8.argmax(-1)).mean()
        decibels = 10 * np.log10((expected**2).sum() / ((expected - int8) ** 2).sum())
        click.echo(f"{name}: {agreement:.2f} % of {len(int8)} steps agree, {decibels:.1f} dB")


if __name__ == "__main__":
    main()
