"""Converts a Kaldi n-gram transducer to an ARPA file: fstprint Gr.fst | fst_to_arpa.py > lm.arpa

`fstprint` is in Debian's libfst-tools. The type "ngram" of Vosk's file is in libfst22-plugins-base.
Words with other than English letters are left out, and so are the n-grams that begin with them.
"""

from __future__ import annotations

import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

EPSILON = "<eps>"  # the label of an arc to a shorter history
ENGLISH = re.compile("[a-z']+|</s>")
NEVER = -99.0  # log10 of the probability of <s>, by custom


class Arc(NamedTuple):
    """An arc from the state of one history to that of the next."""

    target: str
    word: str
    log10_p: float


class Ngram(NamedTuple):
    """An n-gram, as in a line of an ARPA file."""

    words: tuple[str, ...]
    log10_p: float
    log10_back_off: float


def read_arcs(lines: Iterable[str]) -> tuple[str, dict[str, list[Arc]]]:
    """The start state and the arcs of each state. A final state gets an arc with the word </s>."""
    start = ""
    arcs = defaultdict(list)
    for line in lines:
        fields = line.split()
        start = start or fields[0]
        target = ""
        word = "</s>"
        if len(fields) >= 4:
            target, word = fields[1:3]
        cost = float(fields[-1]) if len(fields) in (2, 5) else 0.0
        arcs[fields[0]].append(Arc(target, word, -cost / math.log(10)))
    return start, arcs


def ngrams(start: str, arcs: dict[str, list[Arc]]) -> Iterator[Ngram]:
    """The n-grams of a transducer, from short to long."""
    back_offs = {state: arc for state, out in arcs.items() for arc in out if arc.word == EPSILON}
    root = next(state for state in arcs if state not in back_offs)
    histories: dict[str, tuple[str, ...]] = {root: (), start: ("<s>",)}
    yield Ngram(("<s>",), NEVER, back_offs[start].log10_p)
    states = [root]
    while states:
        next_states = [start] if states == [root] else []
        for state in states:
            for target, word, log10_p in arcs[state]:
                if not ENGLISH.fullmatch(word):
                    continue
                words = (*histories[state], word)
                if target and target not in histories:
                    histories[target] = words
                    next_states.append(target)
                is_history = target in back_offs and histories[target] == words
                yield Ngram(words, log10_p, back_offs[target].log10_p if is_history else 0.0)
        states = next_states


def main() -> None:
    """Converts standard input to standard output."""
    orders: dict[int, list[str]] = defaultdict(list)
    for words, log10_p, log10_back_off in ngrams(*read_arcs(sys.stdin)):
        line = f"{log10_p:.5f}\t{' '.join(words)}\t{log10_back_off:.5f}"
        orders[len(words)].append(line)
    print("\\data\\", *(f"ngram {order}={len(lines)}" for order, lines in orders.items()), sep="\n")
    for order, lines in orders.items():
        print(f"\n\\{order}-grams:", *lines, sep="\n")
    print("\n\\end\\")


if __name__ == "__main__":
    main()
