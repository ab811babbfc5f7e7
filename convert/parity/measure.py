"""Do quantized models say what the float model says? All run the same clips through the same runtime, in turn."""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.convert.inspection import Inspection, inspect_model
from ds2edge.convert.parity.memory import peak_memory
from ds2edge.convert.parity.trace import Stage, StreamTracer, Trace
from ds2edge.convert.parity.word_changes import ChangedClip, compare_texts
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.evaluation.scoring import Score, bootstrap_interval, score
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")


@dataclass(frozen=True)
class ModelFigures:
    """One model on the clips."""

    name: str  # of the file, with the mode; of the reference, "float"
    mode: str
    chunk_steps: int
    direction: str  # forward or bidirectional
    wer: float  # percent
    wer_interval: tuple[float, float]  # 95 %, bootstrap over clips
    cer: float
    cer_interval: tuple[float, float]
    bytes: int
    real_time_factor: float  # of the network alone, on one thread: median of the clips
    peak_memory: float | None  # megabytes; None where the system does not say
    inspection: Inspection


@dataclass(frozen=True)
class Comparison:
    """A model compared with the float one."""

    model: ModelFigures
    wer_increase: float  # points
    wer_increase_interval: tuple[float, float]  # 95 %, paired bootstrap over clips
    frame_agreement: float  # percent of steps with the same best symbol
    signal_to_noise: dict[
        str, float | None
    ]  # dB by stage, in the order of the network; None: no noise at all
    not_compared: list[str]  # stages that were never seen at the same step in both models
    speedup: float  # median of the ratios of time, clip by clip
    size_ratio: float
    changed: list[ChangedClip]

    @property
    def drops(self) -> dict[str, float]:
        """How many dB each stage lies below the one before, where both have noise."""
        levels = pairwise(self.signal_to_noise.items())
        return {
            name: before - level
            for (_, before), (name, level) in levels
            if before is not None and level is not None
        }

    @property
    def noisiest(self) -> str | None:
        """The stage that adds most noise, as a share of its signal; None where there is no noise.

        Not the largest drop in dB: from 60 to 45 little is lost, from 30 to 20 much.
        """
        shares = [
            0.0 if level is None else 10 ** (-level / 10) for level in self.signal_to_noise.values()
        ]
        added = {
            name: share - before
            for name, (before, share) in zip(
                self.signal_to_noise, pairwise([0, *shares]), strict=True
            )
        }
        stage = max(added, key=lambda name: added[name])
        return stage if added[stage] > 0 else None


@dataclass(frozen=True)
class Parity:
    """Models compared with the float model that they came from."""

    reference: ModelFigures
    comparisons: list[Comparison]
    engine: str
    clips: int
    words: int
    seconds: float
    max_wer_increase: float  # points that each model may lose
    left_out: list[str]  # clips and why

    @property
    def models(self) -> list[ModelFigures]:
        """All of them, the float one first."""
        return [self.reference, *(comparison.model for comparison in self.comparisons)]

    @property
    def stages(self) -> list[str]:
        """In the order of the network, those that were compared in no model too."""
        found = (stage for c in self.comparisons for stage in (*c.not_compared, *c.signal_to_noise))
        return list(dict.fromkeys(found))

    @property
    def operations(self) -> list[str]:
        """Kinds of operation in any of the models, the most frequent of the first one first."""
        return list(
            dict.fromkeys(kind for model in self.models for kind in model.inspection.operations)
        )

    @property
    def failed(self) -> list[Comparison]:
        """Those of the models that lost more than they may."""
        return [
            comparison
            for comparison in self.comparisons
            if comparison.wer_increase > self.max_wer_increase
        ]


class _Difference:
    """What is counted of one model beside the float one, clip after clip."""

    def __init__(self) -> None:
        self.agreed = self.steps = 0
        self.ratios: list[float] = []
        self.powers: dict[str, npt.NDArray[np.float64]] = defaultdict(
            lambda: np.zeros(2)
        )  # of signal and noise
        self.seen: set[str] = set()

    def add(self, reference: Trace, candidate: Trace) -> None:
        first, second = reference.logits.beside(candidate.logits)
        self.agreed += int((first.argmax(-1) == second.argmax(-1)).sum())
        self.steps += len(first)
        self.ratios.append(reference.seconds / candidate.seconds)
        stages = candidate.stages | {"logits": candidate.logits}
        for name, stage in (reference.stages | {"logits": reference.logits}).items():
            self._compare(name, stage, stages[name])

    def _compare(self, name: str, reference: Stage, candidate: Stage) -> None:
        signal, other = (values.astype(np.float64) for values in reference.beside(candidate))
        self.powers[name] += [(signal**2).sum(), ((signal - other) ** 2).sum()]
        if len(signal):
            self.seen.add(name)

    def signal_to_noise(self) -> dict[str, float | None]:
        return {
            name: _decibels(*powers) for name, powers in self.powers.items() if name in self.seen
        }


def measure(
    reference: Path, candidates: Sequence[Path], clips: list[Clip], max_wer_increase: float
) -> Parity:
    """Transcribes `clips` with all models (.tflite, the reference float32), in turn and on one thread.

    Each model carries its own states, as it would on a device: the noise of a stage is what has built up by then.
    Clips that cannot be read or have no letter in their text are named and left out. InputError if none is left, for a
    model that cannot be read, and for one that is of another epoch or run.
    """
    tracers = [StreamTracer(path) for path in (reference, *candidates)]
    for tracer in tracers[1:]:
        _require_same_model(tracers[0], tracer)
    differences, left_out = [_Difference() for _ in candidates], list[str]()
    spent: list[list[float]] = [[] for _ in tracers]
    texts: list[list[str]] = [[] for _ in tracers]
    heard: list[tuple[Clip, str]] = []
    seconds = 0.0
    what = f"{len(tracers)} models on {len(clips)} clips"
    for clip, said, samples in _sounds(track(clips, what, len(clips)), tracers[0], left_out):
        traces = [tracer.trace(samples) for tracer in tracers]
        length = len(samples) / tracers[0].specification.features.sample_rate
        seconds += length
        heard.append((clip, said))
        for trace, model_texts, factors in zip(traces, texts, spent, strict=True):
            model_texts.append(trace.text)
            factors.append(trace.seconds / length)
        for trace, difference in zip(traces[1:], differences, strict=True):
            difference.add(traces[0], trace)
    if not heard:
        raise InputError(
            f"none of the {len(clips)} clips can be compared; the first: {left_out[0]}"
        )
    for problem in left_out:
        log.warning("left out: %s", problem)

    longest = max((clip for clip, _ in heard), key=lambda clip: clip.duration).audio
    memory = [
        peak_memory(tracer.path, longest) for tracer in track(tracers, "memory", len(tracers))
    ]
    scores = [score([said for _, said in heard], model_texts) for model_texts in texts]
    models = [
        _figures(name, tracer, result, float(np.median(factors)), peak)
        for name, tracer, result, factors, peak in zip(
            _names(tracers), tracers, scores, spent, memory, strict=True
        )
    ]
    return Parity(
        reference=models[0],
        comparisons=[
            Comparison(
                model=model,
                wer_increase=result.wer - scores[0].wer,
                wer_increase_interval=bootstrap_interval(
                    result.word_errors - scores[0].word_errors, result.words
                ),
                frame_agreement=100 * difference.agreed / difference.steps,
                signal_to_noise=difference.signal_to_noise(),
                not_compared=[name for name in difference.powers if name not in difference.seen],
                speedup=float(np.median(difference.ratios)),
                size_ratio=model.bytes / models[0].bytes,
                changed=list(_changed(heard, texts[0], model_texts)),
            )
            for model, result, difference, model_texts in zip(
                models[1:], scores[1:], differences, texts[1:], strict=True
            )
        ],
        engine=tracers[0].engine,
        clips=len(heard),
        words=int(scores[0].words.sum()),
        seconds=round(seconds, 1),
        max_wer_increase=max_wer_increase,
        left_out=left_out,
    )


def _require_same_model(reference: StreamTracer, candidate: StreamTracer) -> None:
    """The candidate is of the same epoch, or its training began with the weights of that epoch."""
    one, other = (
        dataclasses.replace(tracer.specification, graph=None) for tracer in (reference, candidate)
    )
    begun_with = other.training.get("initialised_from") or {"name": None}
    known = {"name": one.name} | one.training
    if one != other and any(known.get(key) != value for key, value in begun_with.items()):
        epochs = [specification.training.get("best_epoch") for specification in (one, other)]
        raise InputError(
            f"{candidate.path}: of epoch {epochs[1]} or another run, the run's best is {epochs[0]}: convert it again"
        )


def _sounds(
    clips: Iterable[Clip], tracer: StreamTracer, left_out: list[str]
) -> Iterator[tuple[Clip, str, Samples]]:
    """Each clip with what is said in it and its samples."""
    for clip in clips:
        try:
            said = normalise_clip(clip.audio, clip.text)
            samples = read_audio(clip.audio, tracer.specification.features.sample_rate)
        except InputError as error:
            left_out.append(str(error))
            continue
        if len(samples):
            yield clip, said, samples
        else:
            left_out.append(f"{clip.audio}: holds no audio")


def _names(tracers: Sequence[StreamTracer]) -> list[str]:
    """What reports call the models: by their folders too, where file name and mode do not tell two apart."""
    names = [f"{tracer.path.name} ({tracer.graph.mode})" for tracer in tracers[1:]]
    full = [f"{tracer.path} ({tracer.graph.mode})" for tracer in tracers[1:]]
    return [
        "float",
        *(path if names.count(name) > 1 else name for name, path in zip(names, full, strict=True)),
    ]


def _figures(
    name: str, tracer: StreamTracer, result: Score, factor: float, peak: float | None
) -> ModelFigures:
    return ModelFigures(
        name=name,
        mode=tracer.graph.mode,
        chunk_steps=tracer.graph.chunk_steps,
        direction=tracer.graph.direction,
        wer=result.wer,
        wer_interval=result.wer_interval(),
        cer=result.cer,
        cer_interval=result.cer_interval(),
        bytes=tracer.path.stat().st_size,
        real_time_factor=factor,
        peak_memory=peak,
        inspection=inspect_model(tracer.path),
    )


def _changed(
    heard: list[tuple[Clip, str]], before: list[str], after: list[str]
) -> Iterator[ChangedClip]:
    for (clip, said), first, second in zip(heard, before, after, strict=True):
        if first != second:
            yield ChangedClip(str(clip.audio), said, compare_texts(said, first, second))


def _decibels(signal: float, noise: float) -> float | None:
    return None if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))
