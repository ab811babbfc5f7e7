"""A Kaldi n-gram transducer as an ARPA file: fstprint Gr.fst | fst_to_arpa.py > lm.arpa

`fstprint` is in Debian's libfst-tools, the type "ngram" of Vosk's in libfst22-plugins-base. Words in
letters that are not English are left out, with all that follows them.
"""

from __future__ import annotations

import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

EPSILON = "<eps>"  # says nothing: the way to a shorter history
ENGLISH = re.compile("[a-z']+|</s>")
IMPOSSIBLE = -99.0  # log10 of the probability of <s>, by custom


class Arc(NamedTuple):
    """From one history to the next, by a word."""

    target: str
    word: str
    log10: float


def read(lines: Iterable[str]) -> tuple[str, dict[str, list[Arc]]]:
    """The state that begins a sentence, and the arcs of each state; those that end it say </s>."""
    start, arcs = "", defaultdict(list)
    for line in lines:
        fields = line.split()
        start = start or fields[0]
        if len(fields) >= 4:
            state, target, word = fields[:3]
        else:
            state, target, word = fields[0], "", "</s>"
        cost = float(fields[-1]) if len(fields) in (2, 5) else 0.0
        arcs[state].append(Arc(target, word, -cost / math.log(10)))
    return start, arcs


def grams(start: str, arcs: dict[str, list[Arc]]) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Words, log10 of their probability and of their back-off weight; the shorter ones first."""
    shorter = {state: arc for state, out in arcs.items() for arc in out if arc.word == EPSILON}
    root = next(state for state in arcs if state not in shorter)
    histories, level = {root: (), start: ("<s>",)}, [root]
    yield ("<s>",), IMPOSSIBLE, shorter[start].log10
    while level:
        following = [start] if level == [root] else []
        for state in level:
            for target, word, log10 in arcs[state]:
                if not ENGLISH.fullmatch(word):
                    continue
                words = (*histories[state], word)
                if target and target not in histories:
                    histories[target] = words
                    following.append(target)
                longer = target in shorter and histories[target] == words
                yield words, log10, shorter[target].log10 if longer else 0.0
        level = following


def main() -> None:
    """From standard input to standard output."""
    orders: dict[int, list[str]] = defaultdict(list)
    for words, log10, back_off in grams(*read(sys.stdin)):
        orders[len(words)].append(f"{log10:.5f}\t{' '.join(words)}\t{back_off:.5f}")
    print("\\data\\", *(f"ngram {order}={len(lines)}" for order, lines in orders.items()), sep="\n")
    for order, lines in orders.items():
        print(f"\n\\{order}-grams:", *lines, sep="\n")
    print("\n\\end\\")


if __name__ == "__main__":
    main()
