"""The results of an evaluation. Their field names are the keys of evaluation.json."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Error rates of a model on a group of clips, in percent."""

    group: str
    clips: int
    words: int
    hours: float
    wer: float
    wer_interval: tuple[float, float]  # 95 %, bootstrap over clips
    cer: float
    cer_interval: tuple[float, float]


@dataclass(frozen=True)
class Transcript:
    """A clip with its text and the model's transcript, both normalised."""

    audio: str
    speaker: str
    seconds: float
    reference: str
    hypothesis: str
    word_errors: int


@dataclass(frozen=True)
class Confusion:
    """A word of the text and the word that the model put in its place; "" if there is none."""

    reference: str
    hypothesis: str
    times: int


@dataclass(frozen=True)
class Evaluation:
    """Results of a model on one split. Figures are without added noise, except `by_noise`."""

    model: str  # path
    name: str  # of its recipe
    mode: str  # int8, float32 and so on, or keras
    engine: str  # interpreter and decoder
    manifests: list[str]
    split: str
    overall: Figures
    # Of features, network and decoder together. None in Keras, which computes clips in batches.
    real_time_factor: float | None
    by_speaker: list[Figures]  # worst first; empty if the manifests name no speaker
    by_length: list[Figures]
    by_noise: list[Figures]  # from no noise to the loudest; empty if no noise was asked for
    noise: str  # source of the noise
    substitutions: list[Confusion]  # most frequent first
    insertions: list[Confusion]  # most frequent first
    deletions: list[Confusion]  # most frequent first
    left_out: list[str]  # clips, each with the reason
    clips: list[Transcript]  # worst first
