"""Prints the train transcripts of manifests, one per line: transcripts.py MANIFEST... > text

A transcript is left out if it shares six words in a row with a dev or test sentence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ds2edge.train.data.text import normalise

SHARED_WORDS = 6


def read_clips(manifests: Iterable[Path]) -> list[dict[str, Any]]:
    """The clips of manifests, with their texts normalised."""
    clips = [json.loads(line) for path in manifests for line in path.read_text().splitlines()]
    return [clip | {"text": normalise(clip["text"]).text} for clip in clips]


def sequences(words: list[str], size: int = SHARED_WORDS) -> set[tuple[str, ...]]:
    """All sequences of `size` words. A shorter text is one sequence."""
    length = min(size, len(words))
    return {tuple(words[end - length : end]) for end in range(length, len(words) + 1)}


def held_out_sequences(
    clips: Iterable[dict[str, Any]], size: int = SHARED_WORDS
) -> set[tuple[str, ...]]:
    """The sequences of `size` words of all dev and test sentences."""
    return {
        sequence
        for clip in clips
        if clip["split"] != "train"
        for sequence in sequences(clip["text"].split(), size)
    }


def main() -> None:
    """Reads the manifests that the command line names and prints to standard output."""
    clips = read_clips(map(Path, sys.argv[1:]))
    train = {clip["text"] for clip in clips if clip["split"] == "train"}
    held_out = held_out_sequences(clips)
    chosen = [text for text in train if held_out.isdisjoint(sequences(text.split()))]
    print(*sorted(chosen), sep="\n")


if __name__ == "__main__":
    main()
