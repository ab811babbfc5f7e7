"""Measures parity: quantized models and the float model run the same clips through the runtime."""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ds2edge.convert.inspection import inspect_model
from ds2edge.convert.parity.figures import Comparison, ModelFigures, Parity
from ds2edge.convert.parity.memory import model_memory
from ds2edge.convert.parity.trace import LOGITS, Stage, Trace, Tracer
from ds2edge.convert.parity.word_changes import ChangedClip, compare_texts
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.manifest import Clip
from ds2edge.train.data.text import normalise_clip
from ds2edge.train.evaluation.scoring import Score, bootstrap_interval, score
from ds2edge.train.progress import track

log = logging.getLogger("ds2edge")


def measure_parity(
    reference: Path, candidates: Sequence[Path], clips: list[Clip], max_wer_increase: float
) -> Parity:
    """Transcribes `clips` with all models (.tflite), clip by clip in turn, on one thread.

    `reference` is the float32 model. Every model carries its own states, as on a device, so the
    noise of a stage includes what has built up before. Clips that cannot be read or have no letter
    in their text are left out with a warning.

    InputError if no clip is left, if a model cannot be read, or if it belongs to another run or
    epoch than the reference.
    """
    float_model = _Model("float", Tracer(reference))
    models = [_Candidate(name, tracer) for name, tracer in _named_tracers(candidates)]
    for model in models:
        tracer = model.tracer
        require_same_model(float_model.tracer.specification, tracer.path, tracer.specification)
    left_out: list[str] = []
    compared = _run_clips(clips, float_model, models, left_out)
    if not compared:
        raise InputError(
            f"none of the {len(clips)} clips can be compared; the first: {left_out[0]}"
        )
    for problem in left_out:
        log.warning("left out: %s", problem)
    for each in track([float_model, *models], "memory", 1 + len(models)):
        each.conclude(compared)
    return Parity(
        reference=float_model.figures,
        comparisons=[model.comparison(float_model, compared) for model in models],
        engine=float_model.tracer.engine,
        clips=len(compared),
        words=int(float_model.score.words.sum()),
        seconds=round(sum(clip.duration for clip in compared), 1),
        max_wer_increase=max_wer_increase,
        left_out=left_out,
    )


def require_same_model(reference: Specification, path: Path, candidate: Specification) -> None:
    """InputError unless the candidate, the file at `path`, is of the same epoch as the reference.

    It may also be of a training that began with the weights of that epoch.
    """
    reference = dataclasses.replace(reference, graph=None)
    candidate = dataclasses.replace(candidate, graph=None)
    if reference == candidate:
        return
    begun_with = candidate.training.get("initialised_from") or {"name": None}
    facts = {"name": reference.name} | reference.training
    if any(facts.get(key) != value for key, value in begun_with.items()):
        raise InputError(
            f"{path}: made from epoch {candidate.training.get('best_epoch')} or from another run; "
            f"the run's best epoch is {reference.training.get('best_epoch')}: convert it again"
        )


class _Model:
    """One model and its results, clip by clip."""

    score: Score
    figures: ModelFigures

    def __init__(self, name: str, tracer: Tracer) -> None:
        self.name = name
        self.tracer = tracer
        self.texts: list[str] = []
        self.time_factors: list[float] = []  # seconds in the network for each second of audio

    def run(self, clip: Clip, samples: Samples) -> Trace:
        trace = self.tracer.trace(samples)
        self.texts.append(trace.text)
        self.time_factors.append(trace.seconds / clip.duration)
        return trace

    def conclude(self, clips: list[Clip]) -> None:
        """Sets `score` and `figures` when all clips have been run, and measures the memory."""
        path = self.tracer.path
        graph = self.tracer.graph
        longest = max(clips, key=lambda clip: clip.duration)
        self.score = score([clip.text for clip in clips], self.texts)
        self.figures = ModelFigures(
            name=self.name,
            mode=graph.mode,
            chunk_steps=graph.chunk_steps,
            direction=graph.direction,
            wer=self.score.wer,
            wer_interval=self.score.wer_interval(),
            cer=self.score.cer,
            cer_interval=self.score.cer_interval(),
            bytes=path.stat().st_size,
            real_time_factor=float(np.median(self.time_factors)),
            peak_memory=model_memory(path, longest.audio),
            inspection=inspect_model(path),
        )


class _Candidate(_Model):
    """A model, and how its values differ from those of the float model."""

    def __init__(self, name: str, tracer: Tracer) -> None:
        super().__init__(name, tracer)
        self._steps = 0
        self._agreed_steps = 0
        # Summed squares of each stage, of the float model's values and of the differences. A stage
        # that was never recorded at the same step in both models has no entry.
        self._signal: dict[str, float] = defaultdict(float)
        self._noise: dict[str, float] = defaultdict(float)
        self._stages: dict[str, None] = {}  # in network order

    def compare(self, expected: Trace, computed: Trace) -> None:
        """Counts what this model computed for a clip against what the float model computed."""
        first, second = expected.logits.at_common_steps(computed.logits)
        self._steps += len(first)
        self._agreed_steps += int((first.argmax(-1) == second.argmax(-1)).sum())
        for name, stage in expected.all_stages.items():
            self._stages[name] = None
            self._add_noise(name, stage, computed.all_stages[name])

    def _add_noise(self, name: str, expected: Stage, computed: Stage) -> None:
        values, others = (v.astype(np.float64) for v in expected.at_common_steps(computed))
        if len(values) and name == LOGITS:
            # int8 clips the lowest on purpose: they would be most of the noise and mean nothing.
            values = np.maximum(values, others.min())
        if len(values):
            self._signal[name] += float((values**2).sum())
            self._noise[name] += float(((values - others) ** 2).sum())

    def comparison(self, reference: _Model, clips: list[Clip]) -> Comparison:
        """The figures beside those of the float model, when both are concluded."""
        errors = self.score.word_errors - reference.score.word_errors
        return Comparison(
            model=self.figures,
            wer_increase=self.score.wer - reference.score.wer,
            wer_increase_interval=bootstrap_interval(errors, self.score.words),
            frame_agreement=100 * self._agreed_steps / self._steps,
            signal_to_noise={
                name: _decibels(self._signal[name], self._noise[name])
                for name in self._stages
                if name in self._signal
            },
            not_compared=[name for name in self._stages if name not in self._signal],
            speedup=float(np.median(np.divide(reference.time_factors, self.time_factors))),
            size_ratio=self.figures.bytes / reference.figures.bytes,
            changed=[
                ChangedClip(str(clip.audio), clip.text, compare_texts(clip.text, before, after))
                for clip, before, after in zip(clips, reference.texts, self.texts, strict=True)
                if before != after
            ],
        )


def _run_clips(
    clips: list[Clip], float_model: _Model, models: list[_Candidate], left_out: list[str]
) -> list[Clip]:
    """Runs each clip through all models. Returns the clips that could be read, as `_read_clips`."""
    compared = []
    rate = float_model.tracer.specification.features.sample_rate
    label = f"{1 + len(models)} models on {len(clips)} clips"
    for clip, samples in _read_clips(track(clips, label, len(clips)), rate, left_out):
        expected = float_model.run(clip, samples)
        for model in models:
            model.compare(expected, model.run(clip, samples))
        compared.append(clip)
    return compared


def _read_clips(
    clips: Iterable[Clip], rate: int, left_out: list[str]
) -> Iterator[tuple[Clip, Samples]]:
    """Each clip with its normalised text and its real duration, and its samples at `rate`."""
    for clip in clips:
        try:
            text = normalise_clip(clip.audio, clip.text)
            samples = read_audio(clip.audio, rate)
        except InputError as error:
            left_out.append(str(error))
            continue
        if len(samples):
            yield dataclasses.replace(clip, text=text, duration=len(samples) / rate), samples
        else:
            left_out.append(f"{clip.audio}: holds no audio")


def _named_tracers(paths: Sequence[Path]) -> Iterator[tuple[str, Tracer]]:
    """Each model with its name in reports: file name and mode, or path and mode where needed."""
    tracers = [Tracer(path) for path in paths]
    names = [f"{tracer.path.name} ({tracer.graph.mode})" for tracer in tracers]
    for name, tracer in zip(names, tracers, strict=True):
        unique = names.count(name) == 1
        yield name if unique else f"{tracer.path} ({tracer.graph.mode})", tracer


def _decibels(signal: float, noise: float) -> float | None:
    return None if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))
