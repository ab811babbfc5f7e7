"""Joins short clips of one speaker into longer clips."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.train.data.manifest import Clip, read_manifest, write_manifest
from ds2edge.train.files import make_folder
from ds2edge.train.progress import track

RATE = 16000  # Hz
PAUSE = (0.02, 0.25)  # seconds of silence around each clip, drawn uniformly

Groups = dict[tuple[str, str], list[Clip]]  # by split and speaker


def join_clips(
    manifest: Path, folder: Path, uses: int, lengths: tuple[int, int], dev_share: float, seed: int
) -> None:
    """Writes joined clips and their manifest into `folder`. Each clip is used `uses` times.

    Only clips of the same split and speaker are joined. `lengths` are the smallest and largest
    number of clips in a row. If the manifest has no split dev, `dev_share` of each speaker's
    training clips become dev before anything is joined, so no recording is in two splits.
    InputError if a clip cannot be read or a file cannot be written, or for impossible lengths.
    """
    if not 1 <= lengths[0] <= lengths[1]:
        raise InputError(
            f"--words {lengths[0]} {lengths[1]}: the first must be at least 1 "
            "and no more than the second"
        )
    rng = np.random.default_rng(seed)
    groups: Groups = defaultdict(list)
    for clip in read_manifest(manifest):
        groups[clip.split, clip.speaker].append(clip)
    _split_off_dev(groups, dev_share, rng)
    sequences = _draw_sequences(groups, uses, lengths, rng)
    make_folder(folder / "audio")
    joined = []
    what = f"joining into {len(sequences)} clips"
    for number, clips in enumerate(track(sequences, what, len(sequences))):
        samples = _join(clips, rng)
        split = clips[0].split
        path = folder / "audio" / f"{split}_{number:05d}.flac"
        try:
            soundfile.write(path, samples, RATE)
        except soundfile.LibsndfileError as error:  # nearly always the disk is full
            raise InputError(f"{path}: cannot be written ({error}): make room") from None
        text = " ".join(clip.text for clip in clips)
        joined.append(Clip(path, text, len(samples) / RATE, split, clips[0].speaker))
    write_manifest(folder / "manifest.jsonl", joined)


def _split_off_dev(groups: Groups, dev_share: float, rng: np.random.Generator) -> None:
    if any(split == "dev" for split, _ in groups):
        return
    for speaker in [speaker for split, speaker in groups if split == "train"]:
        clips = groups["train", speaker]
        rng.shuffle(clips)
        count = round(dev_share * len(clips))
        if count:
            groups["dev", speaker] = [replace(clip, split="dev") for clip in clips[:count]]
            del clips[:count]


def _draw_sequences(
    groups: Groups, uses: int, lengths: tuple[int, int], rng: np.random.Generator
) -> list[list[Clip]]:
    """Clips to join, in order."""
    sequences = []
    for _, clips in sorted(groups.items(), key=lambda group: group[0]):
        remaining = [clips[i] for _ in range(uses) for i in rng.permutation(len(clips))]
        while remaining:
            size = int(rng.integers(lengths[0], lengths[1] + 1))
            sequences.append(remaining[:size])
            del remaining[:size]
    return sequences


def _join(clips: list[Clip], rng: np.random.Generator) -> Samples:
    """The samples of clips, with pauses before, between and after them."""
    pauses = rng.uniform(*PAUSE, size=len(clips) + 1)
    silences = [np.zeros(int(pause * RATE), np.float32) for pause in pauses]
    pieces = [silences[0]]
    for clip, silence in zip(clips, silences[1:], strict=True):
        pieces += [read_audio(clip.audio, RATE), silence]
    return np.concatenate(pieces)
