"""Longer clips out of short ones."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.data.manifest import Clip, read_manifest, write_manifest
from ds2edge.train.progress import track

RATE = 16000
PAUSE = (0.02, 0.25)  # seconds of silence around each clip, drawn uniformly


def join_clips(
    manifest: Path, folder: Path, uses: int, lengths: tuple[int, int], dev_share: float, seed: int
) -> None:
    """Writes `folder` with joined clips of each (split, speaker) of `manifest`, each clip used `uses` times.

    `lengths`: fewest and most clips in a row. If the manifest has no split dev, `dev_share` of the training clips of
    each speaker becomes it before anything is joined, so that no recording is in two splits.
    """
    if not 1 <= lengths[0] <= lengths[1]:
        raise InputError(
            f"--words {lengths[0]} {lengths[1]}: the first must be at least 1 and no more than the second"
        )
    rng = np.random.default_rng(seed)
    groups: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in read_manifest(manifest):
        groups[clip.split, clip.speaker].append(clip)
    if not any(split == "dev" for split, _ in groups):
        for (_, speaker), clips in [item for item in groups.items() if item[0][0] == "train"]:
            rng.shuffle(clips)  # type: ignore[arg-type]
            count = round(dev_share * len(clips))
            if count:
                groups["dev", speaker] = [replace(clip, split="dev") for clip in clips[:count]]
                del clips[:count]
    rows = []
    for (split, speaker), clips in sorted(groups.items()):
        sequence = [clips[i] for _ in range(uses) for i in rng.permutation(len(clips))]
        while sequence:
            size = int(rng.integers(lengths[0], lengths[1] + 1))
            rows.append((split, speaker, sequence[:size]))
            del sequence[:size]
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    joined = []
    for number, (split, speaker, clips) in enumerate(
        track(rows, f"joining into {len(rows)} clips", len(rows))
    ):
        pauses = rng.uniform(*PAUSE, size=len(clips) + 1)
        pieces = [np.zeros(int(pauses[0] * RATE), np.float32)]
        for clip, pause in zip(clips, pauses[1:], strict=True):
            pieces += [read_audio(clip.audio, RATE), np.zeros(int(pause * RATE), np.float32)]
        samples = np.concatenate(pieces)
        path = folder / "audio" / f"{split}_{number:05d}.flac"
        soundfile.write(path, samples, RATE)
        joined.append(
            Clip(path, " ".join(clip.text for clip in clips), len(samples) / RATE, split, speaker)
        )
    write_manifest(folder / "manifest.jsonl", joined)
