"""The figures of a parity measurement. Reports and parity.json are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ds2edge.convert.inspection import Inspection
from ds2edge.convert.parity.word_changes import ChangedClip


@dataclass(frozen=True)
class ModelFigures:
    """Figures of one model on all clips."""

    # File name and mode. "float" for the float model.
    name: str
    mode: str
    chunk_steps: int
    direction: str  # forward or bidirectional
    wer: float  # percent
    wer_interval: tuple[float, float]  # 95 %, bootstrap over clips
    cer: float  # percent
    cer_interval: tuple[float, float]
    bytes: int
    # Of the network alone, on one thread: median of the clips.
    real_time_factor: float
    # Megabytes. None outside Linux.
    peak_memory: float | None
    inspection: Inspection


@dataclass(frozen=True)
class Comparison:
    """One model compared with the float model."""

    model: ModelFigures
    wer_increase: float  # points
    wer_increase_interval: tuple[float, float]  # 95 %, paired bootstrap over clips
    # Percent of the output steps that have the same best symbol.
    frame_agreement: float
    # dB of each stage, in network order. None: equal to the last bit.
    signal_to_noise: dict[str, float | None]
    # Stages that were never recorded at the same step in both models.
    not_compared: list[str]
    # Median of the clips' time ratios.
    speedup: float
    size_ratio: float
    changed: list[ChangedClip]

    @property
    def drops(self) -> dict[str, float]:
        """How many dB each stage lies below the stage before, where both have noise."""
        return {
            name: before - level
            for (_, before), (name, level) in pairwise(self.signal_to_noise.items())
            if before is not None and level is not None
        }

    @property
    def noisiest(self) -> str | None:
        """The stage that adds most noise as a share of its signal. None without noise.

        It need not be the largest drop in dB: little is lost from 60 to 45 dB, much from 30 to 20.
        """
        noisiest = None
        most_added = 0.0
        before = 0.0
        for name, level in self.signal_to_noise.items():
            share = 0.0 if level is None else 10 ** (-level / 10)
            if share - before > most_added:
                noisiest = name
                most_added = share - before
            before = share
        return noisiest


@dataclass(frozen=True)
class Parity:
    """Models compared with the float model of the run that they were converted from."""

    reference: ModelFigures
    comparisons: list[Comparison]
    engine: str
    clips: int
    words: int
    seconds: float
    max_wer_increase: float  # points that each model may lose
    left_out: list[str]  # clips, and why each was left out

    @property
    def models(self) -> list[ModelFigures]:
        """All models, the float model first."""
        return [self.reference, *(comparison.model for comparison in self.comparisons)]

    @property
    def rows(self) -> list[tuple[ModelFigures, Comparison | None]]:
        """All models, the float model first, each with its comparison."""
        return [(self.reference, None), *((c.model, c) for c in self.comparisons)]

    @property
    def stages(self) -> list[str]:
        """Stages in network order, including those that could not be compared."""
        names = (name for c in self.comparisons for name in (*c.not_compared, *c.signal_to_noise))
        return list(dict.fromkeys(names))

    @property
    def operations(self) -> list[str]:
        """Kinds of operation in any of the models, the most frequent of the float model first."""
        kinds = (kind for model in self.models for kind in model.inspection.operations)
        return list(dict.fromkeys(kinds))

    @property
    def failed(self) -> list[Comparison]:
        """The models that lose more than they may."""
        return [c for c in self.comparisons if c.wer_increase > self.max_wer_increase]
