"""What the train splits of manifests say, a sentence a line: transcripts.py MANIFEST... > text

Left out is what shares six words in a row with a sentence of any dev or test split of theirs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SHARED = 6


def sequences(words: list[str]) -> set[tuple[str, ...]]:
    """All that are so long; of fewer words, all of them."""
    length = min(SHARED, len(words))
    return {tuple(words[end - length : end]) for end in range(length, len(words) + 1)}


def main() -> None:
    """From the manifests named to standard output."""
    clips = [
        json.loads(line) for path in sys.argv[1:] for line in Path(path).read_text().splitlines()
    ]
    held_out = {
        sequence
        for clip in clips
        if clip["split"] != "train"
        for sequence in sequences(clip["text"].split())
    }
    texts = {clip["text"] for clip in clips if clip["split"] == "train"}
    print(*sorted(text for text in texts if held_out.isdisjoint(sequences(text.split()))), sep="\n")


if __name__ == "__main__":
    main()
