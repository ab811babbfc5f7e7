"""Measures a specialised model on voices, sentences and recordings that chose nothing."""

from __future__ import annotations

from pathlib import Path

from ds2edge.convert.parity.measure import measure_parity
from ds2edge.convert.specialise.figures import (
    Generic,
    Recorded,
    accepted_kinds,
    compare,
    confusions,
    false_accepts,
    intent_table,
    is_phrase,
    is_similar,
    rates_by,
)
from ds2edge.convert.specialise.job import Job
from ds2edge.convert.specialise.measure import Answer, Sample, read_samples
from ds2edge.convert.specialise.other_speech import (
    OtherSpeech,
    recorded_speech,
    synthetic_speech,
)
from ds2edge.convert.specialise.report import Report, VoiceUse
from ds2edge.convert.specialise.threshold import Threshold, choose_threshold
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE
from ds2edge.runtime.pretrained import model_path
from ds2edge.runtime.specification import read_specification
from ds2edge.train.data.manifest import SPLITS, read_manifest
from ds2edge.train.run import PRETRAINED

PARITY_CLIPS = 200


def evaluate(job: Job) -> Report:
    """Measures the model and puts the figures together."""
    threshold = Threshold.load(job.folder.threshold)
    least = threshold.value
    recognizer = job.recognizer(job.folder.int8_model)
    samples = read_samples(job.manifest("test"), job.phrases())
    answers = job.measure("test", recognizer, samples)
    synthetic = synthetic_speech(answers)
    other = {"synthetic speech": synthetic} if synthetic.hours else {}
    if job.checks.other_speech:
        recorded = recorded_speech(recognizer, job.checks.other_speech, test=True)
        other["recorded speech"] = recorded
    facts = read_specification(job.folder.model).training
    return Report(
        name=job.folder.path.resolve().name,
        settings=job.begun.settings,
        threshold=threshold,
        advice=list(job.advice),
        by_noise=rates_by("noise", answers, least),
        by_voice=sorted(rates_by("voice", answers, least), key=lambda rates: rates.understood),
        false_accepts=[false_accepts(source, each, least) for source, each in other.items()],
        accepted=accepted_kinds(answers, least),
        intents=intent_table(answers, least),
        confusions=confusions(answers, least, is_phrase),
        similar_accepted=confusions(answers, least, is_similar),
        generic=_generic(job, samples, answers, least),
        recorded=_recorded(job, answers, list(other.values()), least),
        voices=[
            VoiceUse(voice.name, voice.licence, split)
            for split in SPLITS
            for voice in job.voices_of(split)
        ],
        apart=job.begun.groups.apart,
        licence=facts["licence"],
        training_hours=facts["training_hours"],
        parity=measure_parity(
            job.folder.float_model,
            [job.folder.int8_model],
            read_manifest(job.manifest("test"))[:PARITY_CLIPS],
            max_wer_increase=100,
        ),
    )


def _generic(
    job: Job, samples: list[Sample], answers: list[Answer], threshold: float
) -> Generic | None:
    """The bundled model on the same clips, if the training began with it."""
    if job.parent.folder.resolve() != PRETRAINED.resolve():
        return None
    bundled = job.recognizer(model_path("pretrained"))
    generic = job.measure("test", bundled, samples)
    return compare(answers, threshold, generic, MIN_CONFIDENCE)


def _recorded(
    job: Job, answers: list[Answer], other: list[OtherSpeech], threshold: float
) -> Recorded | None:
    """Real recordings of phrases, with the threshold and with the one that they would choose."""
    if job.checks.recordings is None:
        return None
    manifest = Path(job.checks.recordings)
    samples = read_samples(manifest, job.phrases())
    recognizer = job.recognizer(job.folder.int8_model)
    recorded = job.measure("test", recognizer, samples)
    similar = [answer for answer in answers if is_similar(answer)]
    everything = sum(other, OtherSpeech((), 0.0))
    own = choose_threshold([*recorded, *similar], everything, job.checks.false_accepts)
    return Recorded(
        manifest=str(manifest),
        by_noise=rates_by("noise", recorded, threshold),
        threshold=own.value,
        by_noise_there=rates_by("noise", recorded, own.value),
        generic=_generic(job, samples, recorded, threshold),
    )
