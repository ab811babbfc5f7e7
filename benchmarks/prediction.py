"""How well training foresees int8: the rounding Keras model of a run of `ds2edge train --qat` against its int8 file.

    python benchmarks/prediction.py RUN MODEL MANIFEST [--clips 100]

The same clips of split test go through both, and through the Keras model without rounding: what rounding would explain.
"""

from __future__ import annotations

from pathlib import Path

import click
import keras
import numpy as np

from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.ctc import GreedyDecoder
from ds2edge.runtime.features import Features
from ds2edge.runtime.network import Logits, Network
from ds2edge.runtime.recognizer import Stream
from ds2edge.train.feature_cache import pad_and_measure, padding_of
from ds2edge.train.manifest import read_manifest
from ds2edge.train.progress import track
from ds2edge.train.run import Run

PADDED_FRAMES = 256  # few lengths, few graphs


class Difference:
    """Of two models' logits, summed up over clips."""

    def __init__(self) -> None:
        self.agreed = self.steps = 0
        self.signal = self.noise = 0.0

    def add(self, expected: Logits, heard: Logits) -> None:
        """Both [steps, symbols]."""
        self.agreed += int((expected.argmax(-1) == heard.argmax(-1)).sum())
        self.steps += len(expected)
        self.signal += float((expected**2).sum())
        self.noise += float(((expected - heard) ** 2).sum())

    def __str__(self) -> str:
        decibels = 10 * np.log10(self.signal / self.noise)
        return f"{100 * self.agreed / self.steps:.2f} % of {self.steps} steps agree, {decibels:.1f} dB"


class Kept(GreedyDecoder):
    """A decoder that keeps the logits of its clip."""

    def accept(self, logits: Logits) -> None:
        """Next logits [steps, symbols]."""
        self.logits = [*getattr(self, "logits", []), logits]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--clips", default=100, show_default=True)
def main(run: Path, model: Path, manifest: Path, clips: int) -> None:
    """Prints the agreement of MODEL, the int8 file of RUN, with what RUN's model computes with and without rounding."""
    trained, network = Run.open(run), Network(model)
    specification, rounding = trained.specification, trained.best_model()
    ranges = rounding.ranges
    if not ranges:
        raise click.UsageError(f"{run}: has no ranges: it was trained without --qat")
    chosen = read_manifest(manifest, "test")[:clips]
    measure = Features(specification.features, specification.mean, specification.deviation)
    sounds = [read_audio(clip.audio, specification.features.sample_rate) for clip in chosen]
    said = []
    for samples in sounds:
        decoder = Kept(specification.alphabet, network.specification.step_seconds)
        stream = Stream(network, decoder)
        stream.accept(samples, specification.features.sample_rate)
        stream.finish()
        said.append(np.concatenate(decoder.logits))
    for name, used in (("as int8 rounds", ranges), ("without rounding", {})):
        rounding.round_to(used)
        difference = Difference()
        for samples, heard in track(list(zip(sounds, said, strict=True)), name, len(sounds)):
            frames = pad_and_measure(samples, measure, padding_of(rounding.settings))
            padded = np.pad(frames, ((0, -len(frames) % PADDED_FRAMES), (0, 0)))[None]
            inputs = {"features": padded, "lengths": np.array([len(frames)], np.int32)}
            expected = keras.ops.convert_to_numpy(rounding.predict_on_batch(inputs))[0]
            difference.add(expected[: len(heard)], heard)
        print(f"{name}: {difference}")


if __name__ == "__main__":
    main()
