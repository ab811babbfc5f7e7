"""The stages of a release that measure what ships."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ds2edge.convert.parity.memory import model_memory
from ds2edge.runtime.decoding.build import build_decoder
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.train.pretrained.release.accuracy import Measured, wrong_first_words
from ds2edge.train.pretrained.release.fusion_weights import read_weights
from ds2edge.train.pretrained.release.recordings import (
    SINGLE_WORDS,
    ClipSet,
    Condition,
    held_out_set,
    levels,
    noises,
    rates,
)
from ds2edge.train.pretrained.release.release import ARMV7, FLOAT, INT8, MODES, Release

Result = dict[str, Any]


def accuracy(release: Release) -> Result:
    """Error rates on dev, by set."""
    return {clips.title: _sentences(release, clips) for clips in release.dev}


def precision(release: Release) -> Result:
    """What int8 costs: WER of each integer model minus that of float, on all dev clips."""
    reference = release.model(release.work / FLOAT).score(release.all_dev)
    differences = {
        MODES[name]: asdict(
            Measured.wer_difference(
                release.model(release.shipped / name).score(release.all_dev), reference
            )
        )
        for name in (INT8, ARMV7)
    }
    return {"float": asdict(Measured.wer(reference)), **differences}


def level(release: Release) -> Result:
    """Error rates on dev at other levels."""
    return _by_condition(release, release.all_dev, levels())


def noise(release: Release) -> Result:
    """Error rates on a part of dev with noise."""
    return _by_condition(release, release.part, noises(release.noise), ("greedy", "lm"))


def rate(release: Release) -> Result:
    """Error rates on dev at other sample rates."""
    return _by_condition(release, release.all_dev, rates())


def speed(release: Release) -> Result:
    """Processor time for each second of audio, and memory."""
    longest = max(release.all_dev.clips, key=lambda clip: clip.duration)
    return {
        **{name: asdict(release.int8.cost(release.all_dev, name)) for name in ("greedy", "lm")},
        "memory": model_memory(release.int8.model, longest.audio),
    }


def held_out(release: Release, name: str) -> Result:
    """Error rates on a test set."""
    clips = held_out_set(name, release.data)
    if name not in SINGLE_WORDS:
        return {"title": clips.title, **_sentences(release, clips)}
    return {"title": clips.title, **_single_words(release, clips)}


def _sentences(release: Release, clips: ClipSet) -> Result:
    rows = {
        decoder: asdict(Measured.wer(release.int8.score(clips, decoder)))
        for decoder in ("greedy", "lm")
    }
    words = int(release.int8.score(clips).words.sum())
    return {"clips": len(clips.clips), "words": words, **rows}


def _single_words(release: Release, clips: ClipSet) -> Result:
    """By decoder: the WER, and the shares of clips that are right and that give no word."""
    model = release.int8
    vocabulary = clips.vocabulary
    model.decoders = {
        **model.decoders,
        "hotwords": build_decoder(hotwords=vocabulary),
        "lm and hotwords": build_decoder("pretrained", hotwords=vocabulary, weights=read_weights()),
        "phrases": Phrases.of(*vocabulary),
        "phrases, none rejected": Phrases.of(*vocabulary, min_confidence=0.0),
    }
    rows = {}
    for decoder in ("greedy", *model.decoders):
        texts = model.texts(clips, decoder)
        right = [text == clip.text for text, clip in zip(texts, clips.clips, strict=True)]
        rows[decoder] = {
            **asdict(Measured.wer(model.score(clips, decoder))),
            "right": 100 * float(np.mean(right)),
            "empty": 100 * float(np.mean([not text for text in texts])),
        }
    return {
        "clips": len(clips.clips),
        "words": len(vocabulary),
        "decoders": rows,
        "levels": _by_condition(release, clips, levels()),
    }


def _by_condition(
    release: Release,
    clips: ClipSet,
    conditions: list[Condition],
    decoders: tuple[str, ...] = ("greedy",),
) -> Result:
    """For each condition: WER by decoder, its difference, and the share of wrong first words."""
    model = release.int8
    reference = model.score(clips)
    rows = {}
    for condition in conditions:
        row = {each: asdict(Measured.wer(model.score(clips, each, condition))) for each in decoders}
        greedy = model.score(clips, "greedy", condition)
        texts = model.texts(clips, "greedy", condition)
        wrong = wrong_first_words(clips.references, texts)
        row["difference"] = asdict(Measured.wer_difference(greedy, reference))
        row["first_words"] = asdict(Measured.of(wrong, np.ones_like(wrong)))
        rows[condition.title] = row
    return {"clips": len(clips.clips), "rows": rows}
