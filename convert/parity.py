"""Does the quantized model say what the float model says? Both run the same clips through the same runtime."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Logits, Network, States
from ds2edge.runtime.recognizer import Stream
from ds2edge.train.manifest import Clip
from ds2edge.train.progress import track
from ds2edge.train.scoring import bootstrap_interval, score
from ds2edge.train.text import normalise


@dataclass(frozen=True)
class ModelFigures:
    """One model on the clips."""

    mode: str
    wer: float  # percent
    wer_interval: tuple[float, float]  # 95 %, bootstrap over clips
    cer: float
    bytes: int
    milliseconds_per_chunk: float  # median, one thread
    real_time_factor: float  # of the network alone


@dataclass(frozen=True)
class Parity:
    """A float model and a quantized one, compared."""

    reference: ModelFigures
    candidate: ModelFigures
    interpreter: str
    clips: int
    words: int
    seconds: float
    wer_increase: float  # points, candidate less reference
    wer_increase_interval: tuple[float, float]  # 95 %, paired bootstrap over clips
    frame_agreement: float  # percent of steps with the same best symbol
    signal_to_noise: dict[str, float]  # dB by stage, in the order of the network
    speedup: float  # median of the ratios of time, clip by clip, the two taking turns
    size_ratio: float
    changed: list[dict[str, str]] = field(default_factory=list)  # clips on which the two texts differ


class _Tap:
    """A network that also keeps what comes out of each step and how long it took."""

    def __init__(self, network: Network) -> None:
        self.network, self.specification, self.graph = network, network.specification, network.graph
        self.initial_states = network.initial_states
        self.clear()

    def clear(self) -> None:
        self.outputs: list[dict[str, npt.NDArray[np.float32]]] = []
        self.times: list[float] = []

    def step(self, frames: npt.NDArray[np.float32], states: States) -> tuple[Logits, States]:
        started = time.perf_counter()
        logits, following = self.network.step(frames, states)
        self.times.append(time.perf_counter() - started)
        self.outputs.append({**following, "logits": logits})
        return logits, following

    def transcribe(self, samples: npt.NDArray[np.float32], rate: int) -> str:
        self.clear()
        stream = Stream(self)
        stream.accept(samples, rate)
        return stream.finish().text


def measure(reference: Path, candidate: Path, clips: list[Clip]) -> Parity:
    """Transcribes `clips` with both models (.tflite, the first one float32), in turn and on one thread.

    Each model carries its own states, as it would on a device: the noise of a stage is what has built up by then.
    InputError for a clip or a model that cannot be read, and for a model that is of another epoch or run.
    """
    models = [_Tap(Network(path)) for path in (reference, candidate)]
    same = [dataclasses.replace(model.specification, graph=None) for model in models]
    if same[0] != same[1]:
        epochs = [specification.training.get("best_epoch") for specification in same]
        raise InputError(
            f"{candidate}: of epoch {epochs[1]} or another run, the run's best is {epochs[0]}: convert it again"
        )
    rate = models[0].specification.features.sample_rate
    references: list[str] = []
    texts: tuple[list[str], list[str]] = ([], [])
    chunk_times: tuple[list[float], list[float]] = ([], [])
    ratios, agreed, steps, seconds = [], 0, 0, 0.0
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    for clip in track(clips, f"comparing on {len(clips)} clips", len(clips)):
        samples = read_audio(clip.audio, rate)
        seconds += len(samples) / rate
        references.append(normalise(clip.text).text)
        for model, said, times in zip(models, texts, chunk_times, strict=True):
            said.append(model.transcribe(samples, rate))
            times += model.times
        ratios.append(sum(models[0].times) / sum(models[1].times))
        for first, second in zip(models[0].outputs, models[1].outputs, strict=True):
            agreed += int((first["logits"].argmax(-1) == second["logits"].argmax(-1)).sum())
            steps += len(first["logits"])
            for name in first:
                signal[name] = signal.get(name, 0.0) + float((first[name].astype(np.float64) ** 2).sum())
                difference = first[name].astype(np.float64) - second[name]
                noise[name] = noise.get(name, 0.0) + float((difference**2).sum())
    scores = [score(references, said) for said in texts]
    figures = [
        ModelFigures(
            mode=model.graph.mode,
            wer=result.wer,
            wer_interval=result.wer_interval(),
            cer=result.cer,
            bytes=model.network.path.stat().st_size,
            milliseconds_per_chunk=1000 * float(np.median(times)),
            real_time_factor=sum(times) / seconds,
        )
        for model, result, times in zip(models, scores, chunk_times, strict=True)
    ]
    return Parity(
        reference=figures[0],
        candidate=figures[1],
        interpreter=models[0].network.interpreter,
        clips=len(clips),
        words=int(scores[0].words.sum()),
        seconds=round(seconds, 1),
        wer_increase=scores[1].wer - scores[0].wer,
        wer_increase_interval=bootstrap_interval(scores[1].word_errors - scores[0].word_errors, scores[0].words),
        frame_agreement=100 * agreed / steps,
        signal_to_noise={name: _decibels(signal[name], noise[name]) for name in signal},
        speedup=float(np.median(ratios)),
        size_ratio=figures[1].bytes / figures[0].bytes,
        changed=[
            {"audio": str(clip.audio), "said": said, "reference": first, "candidate": second}
            for clip, said, first, second in zip(clips, references, *texts, strict=True)
            if first != second
        ],
    )


def _decibels(signal: float, noise: float) -> float:
    return float("inf") if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))
