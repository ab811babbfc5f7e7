"""Prints the train transcripts of manifests, one per line: transcripts.py MANIFEST... > text

A transcript is left out if it shares six words in a row with a dev or test sentence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SHARED_WORDS = 6


def sequences(words: list[str]) -> set[tuple[str, ...]]:
    """All sequences of SHARED_WORDS words. A shorter text is one sequence."""
    length = min(SHARED_WORDS, len(words))
    return {tuple(words[end - length : end]) for end in range(length, len(words) + 1)}


def main() -> None:
    """Reads the manifests that the command line names and prints to standard output."""
    clips = [
        json.loads(line) for path in sys.argv[1:] for line in Path(path).read_text().splitlines()
    ]
    train = {clip["text"] for clip in clips if clip["split"] == "train"}
    held_out = {
        sequence
        for clip in clips
        if clip["split"] != "train"
        for sequence in sequences(clip["text"].split())
    }
    chosen = [text for text in train if held_out.isdisjoint(sequences(text.split()))]
    print(*sorted(chosen), sep="\n")


if __name__ == "__main__":
    main()
