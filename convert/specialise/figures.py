"""The figures of a report: what a specialised model accepts, confuses and rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ds2edge.convert.specialise.measure import Answer
from ds2edge.convert.specialise.other_speech import OtherSpeech
from ds2edge.runtime.false_accepts import upper_bound
from ds2edge.train.evaluation.scoring import bootstrap_interval
from ds2edge.train.words.sentences import OTHER, PHRASE

MOST_CONFUSIONS = 30
MOST_INTENTS = 20  # that a table has room for


@dataclass(frozen=True)
class Rates:
    """How a group of clips that say phrases was answered, in percent."""

    name: str
    clips: int
    understood: float
    interval: tuple[float, float]  # 95 % of understood, bootstrap over clips
    misunderstood: float
    rejected: float


@dataclass(frozen=True)
class FalseAccepts:
    """Phrases accepted in speech that says none."""

    source: str
    hours: float
    accepted: int
    bound: float  # 95 % upper bound an hour

    @property
    def an_hour(self) -> float:
        """Accepted phrases an hour."""
        return self.accepted / self.hours


@dataclass(frozen=True)
class Accepted:
    """How many clips of a kind that should be rejected were accepted."""

    kind: str
    clips: int
    accepted: int


@dataclass(frozen=True)
class Confusion:
    """A text that was taken for another one."""

    said: str
    recognised: str
    count: int


@dataclass(frozen=True)
class IntentTable:
    """How often each intent was taken for each other one."""

    intents: list[str]
    # A row for each intent that was said: a count for each that was recognised, and for rejection.
    counts: list[list[int]]


@dataclass(frozen=True)
class Generic:
    """The same clips with the bundled model."""

    rates: list[Rates]  # by noise
    # Points by which the specialised model understands more, and their 95 % interval, by noise.
    gains: list[tuple[float, tuple[float, float]]]


@dataclass(frozen=True)
class Recorded:
    """Real recordings of phrases: how far the threshold of synthetic voices carries."""

    manifest: str
    by_noise: list[Rates]
    threshold: float  # what the recordings would have chosen
    by_noise_there: list[Rates]  # with that threshold
    generic: Generic | None


def outcome(answer: Answer, threshold: float) -> str:
    """`understood`, `misunderstood` or `rejected`."""
    if not answer.text or answer.confidence < threshold:
        return "rejected"
    return "understood" if answer.right else "misunderstood"


def rates_by(
    group: Literal["noise", "voice"], answers: Iterable[Answer], threshold: float
) -> list[Rates]:
    """Rates of the clips that say phrases, by noise or voice, in the order of the clips."""
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.kind == PHRASE:
            groups.setdefault(getattr(answer, group), []).append(answer)
    return [_rates(name, members, threshold) for name, members in groups.items()]


def _rates(name: str, answers: Sequence[Answer], threshold: float) -> Rates:
    outcomes = [outcome(answer, threshold) for answer in answers]
    counts = Counter(outcomes)
    understood = np.array([each == "understood" for each in outcomes], np.int64)
    return Rates(
        name=name,
        clips=len(answers),
        understood=100 * counts["understood"] / len(answers),
        interval=bootstrap_interval(understood, np.ones_like(understood)),
        misunderstood=100 * counts["misunderstood"] / len(answers),
        rejected=100 * counts["rejected"] / len(answers),
    )


def false_accepts(source: str, other: OtherSpeech, threshold: float) -> FalseAccepts:
    """The false accepts in other speech. It must last longer than 0 hours."""
    accepted = other.accepted(threshold)
    return FalseAccepts(source, other.hours, accepted, upper_bound(accepted, other.hours))


def accepted_kinds(answers: Iterable[Answer], threshold: float) -> list[Accepted]:
    """For each kind that says no phrase: its clips, and those that were accepted."""
    clips: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for answer in answers:
        if answer.kind != PHRASE:
            clips[answer.kind] += 1
            accepted[answer.kind] += outcome(answer, threshold) != "rejected"
    return [Accepted(kind, clips[kind], accepted[kind]) for kind in sorted(clips)]


def confusions(
    answers: Iterable[Answer], threshold: float, concerns: Callable[[Answer], bool]
) -> list[Confusion]:
    """The most frequent wrong texts that were accepted, of the answers that `concerns` chooses."""
    wrong = Counter(
        (answer.expected, answer.text)
        for answer in answers
        if concerns(answer) and outcome(answer, threshold) == "misunderstood"
    )
    common = wrong.most_common(MOST_CONFUSIONS)
    return [Confusion(said, recognised, count) for (said, recognised), count in common]


def intent_table(answers: Iterable[Answer], threshold: float) -> IntentTable | None:
    """The table of the clips that say phrases. None for fewer than two intents, or too many."""
    pairs = Counter(
        (
            answer.expected_intent,
            "" if outcome(answer, threshold) == "rejected" else answer.intent,
        )
        for answer in answers
        if answer.kind == PHRASE and answer.expected_intent
    )
    intents = sorted({said for said, _ in pairs} | {intent for _, intent in pairs if intent})
    if not 2 <= len(intents) <= MOST_INTENTS:
        return None
    return IntentTable(intents, [[pairs[said, i] for i in (*intents, "")] for said in intents])


def is_phrase(answer: Answer) -> bool:
    """Whether the clip says a phrase."""
    return answer.kind == PHRASE


def is_similar(answer: Answer) -> bool:
    """Whether the clip says a part of a phrase, more than a phrase, or a near miss."""
    return answer.kind not in (PHRASE, OTHER)


def compare(
    own: Sequence[Answer], threshold: float, generic: Sequence[Answer], generic_threshold: float
) -> Generic:
    """The bundled model beside the specialised one, on the same clips in the same order."""
    groups: dict[str, list[tuple[bool, bool]]] = {}
    for ours, theirs in zip(own, generic, strict=True):
        if ours.kind == PHRASE:
            pair = (
                outcome(ours, threshold) == "understood",
                outcome(theirs, generic_threshold) == "understood",
            )
            groups.setdefault(ours.noise, []).append(pair)
    gains = []
    for pairs in groups.values():
        gained = np.array([int(ours) - int(theirs) for ours, theirs in pairs])
        gains.append((100 * float(gained.mean()), bootstrap_interval(gained, np.ones_like(gained))))
    return Generic(rates_by("noise", generic, generic_threshold), gains)
