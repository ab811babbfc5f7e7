"""What a release is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ds2edge.runtime.decoding.build import build_decoder
from ds2edge.train.pretrained.release.accuracy import CachedModel
from ds2edge.train.pretrained.release.fusion_weights import read_weights
from ds2edge.train.pretrained.release.logits import LogitCache
from ds2edge.train.pretrained.release.recordings import ClipSet, dev_sets, pooled

ROOT = Path(__file__).parents[3]
INT8 = "pretrained.tflite"
ARMV7 = "pretrained-armv7.tflite"
FLOAT = "float32.tflite"
MODES = {INT8: "int8", ARMV7: "armv7", FLOAT: "float32"}


@dataclass(frozen=True)
class Release:
    """What a release is made from."""

    run: Path  # folder of the trained run
    speech: Path  # manifest of speech.py
    data: Path  # folder of corpora, with the test sets
    work: Path  # folder for logits, models and results
    noise: str | None  # folder of sound files
    tests: tuple[str, ...]  # the test sets to look at
    every: int  # every nth dev clip is used for what takes long
    commands: Path | None  # manifest of benchmarks/commands.py: orders to a coffee machine
    wake: Path | None  # manifest of clips that say the wake phrase
    shipped: Path = ROOT / "runtime"  # folder of the shipped models
    packed: Path = ROOT / "train" / "pretrained"  # folder of the shipped checkpoint

    @cached_property
    def dev(self) -> list[ClipSet]:
        """The dev sets."""
        return dev_sets(self.speech)

    @cached_property
    def all_dev(self) -> ClipSet:
        """All dev clips."""
        return pooled(self.dev, "dev")

    @cached_property
    def part(self) -> ClipSet:
        """A part of the dev clips, for what takes long."""
        return self.all_dev.every(self.every)

    @cached_property
    def rest(self) -> ClipSet:
        """The dev clips that are not in `part`."""
        chosen = set(self.part.clips)
        return ClipSet(
            "rest of dev", tuple(clip for clip in self.all_dev.clips if clip not in chosen)
        )

    def model(self, path: Path) -> CachedModel:
        """A model whose logits are cached."""
        return CachedModel(path, LogitCache(self.work / "logits"))

    @cached_property
    def int8(self) -> CachedModel:
        """The shipped model, with the shipped language model as decoder `lm`."""
        model = self.model(self.shipped / INT8)
        model.decoders = {"lm": build_decoder("pretrained", weights=read_weights())}
        return model
