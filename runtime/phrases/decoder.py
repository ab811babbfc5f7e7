"""Finds the phrase that a stream of logits says, by token passing (Young et al. 1989).

A token stands for the best path to a place in the graph. It has the score of the path, and a
reference to what the path said. There are two kinds: the last step of the path said a symbol, or
it was blank.

The score of a step is relative to that of its best symbol. So the best free text scores 0.

A network that was trained with CTC outputs a blank where it does not hear clearly. So the phrases
with the fewest symbols would win. A bonus for each symbol makes up for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import BLANK, Decoder, Emission, Meaning, Word, split_words
from ds2edge.runtime.phrases.graph import Graph
from ds2edge.runtime.phrases.wildcards import WildcardText

BEAM = 25.0  # tokens that are more nats than this below the best one are dropped
MOST_TOKENS = 3000
MOST_TRACES = 100_000  # a longer record drops the entries that no token needs
MIN_CONFIDENCE = 0.2
MISSING_LETTER = 0.6  # nats off the score of a phrase for each letter that it lacks
MOST_MISSING = 0.9  # nats for each letter of the phrase: clear speech is always accepted
WILD_SYMBOLS = 8  # a wildcard may say only so many of the best symbols of a step
BONUS = 4.0  # nats for each symbol of a phrase

Scores = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Tokens(NamedTuple):
    """Tokens, one for each place: nodes, or states. Places are sorted."""

    places: Ids
    scores: Scores
    traces: Ids  # the last entry of each path in the record; -1: nothing was said yet


class _Record:
    """The symbols that the paths have said. Each entry refers to the one before it."""

    ARRAYS = ("parent", "node", "step")

    def __init__(self) -> None:
        self.size = 0
        self.parent, self.node, self.step = (np.zeros(1024, np.int64) for _ in range(3))

    def add(self, parents: Ids, nodes: Ids, step: int) -> Ids:
        """Adds entries; returns their numbers."""
        while self.size + len(parents) > len(self.parent):
            for name in self.ARRAYS:
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        new = np.arange(self.size, self.size + len(parents))
        self.parent[new] = parents
        self.node[new] = nodes
        self.step[new] = step
        self.size += len(parents)
        return new

    def path(self, trace: int) -> list[int]:
        """Returns the entries of a path, from the first to `trace`."""
        entries = []
        while trace >= 0:
            entries.append(trace)
            trace = int(self.parent[trace])
        return entries[::-1]

    def forget(self, needed: Ids) -> Ids:
        """Drops all entries but `needed` and those before them.

        Returns the new number of each old entry; index -1 gives -1.
        """
        alive = np.zeros(self.size + 1, np.bool_)
        reached = np.unique(needed[needed >= 0])
        while len(reached):
            alive[reached] = True
            reached = np.unique(self.parent[reached])
            reached = reached[(reached >= 0) & ~alive[reached]]
        numbers = np.where(alive, np.cumsum(alive) - 1, -1)
        kept = np.flatnonzero(alive[:-1])
        for name in self.ARRAYS[1:]:
            getattr(self, name)[: len(kept)] = getattr(self, name)[kept]
        self.parent[: len(kept)] = numbers[self.parent[kept]]
        self.size = len(kept)
        return numbers


class PhraseDecoder(Decoder):
    """Decodes the phrase that was said, or nothing if it was none."""

    symbol_bonus = BONUS
    beam = BEAM

    def __init__(
        self,
        graph: Graph,
        alphabet: Sequence[str],
        step_seconds: float,
        min_confidence: float,
        meaning: Callable[[str], Meaning | None],
        wildcard_text: WildcardText | None = None,
        enough_letters: float = 0.0,
    ) -> None:
        """Rejects phrases below `min_confidence`. `meaning`: finds the meaning of a text.

        `wildcard_text` decodes the final words of wildcards. Without it, they are the best free
        text. Phrases of fewer than `enough_letters` have less confidence.
        """
        super().__init__(alphabet, step_seconds)
        self._wildcard_text = wildcard_text
        self._meaning = meaning
        self._graph = graph
        self._min_confidence = min_confidence
        self._enough_letters = enough_letters
        self._arc_symbol = graph.node_symbol[graph.arc_node]
        self._arc_weight = graph.arc_weight + self.symbol_bonus * ~graph.free[graph.arc_node]
        self._begin()

    @property
    def description(self) -> str:
        """The method and the size of the graph, for reports."""
        return f"phrases ({len(self._graph.node_state)} nodes)"

    @property
    def empty(self) -> bool:
        """True if nothing was said, neither a phrase nor other speech."""
        return not self._heard

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Decodes the next logits, float [steps, symbols]."""
        scores = logits.astype(np.float32)
        scores -= scores.max(-1, keepdims=True)
        for row in scores:
            if self._wildcard_text:
                self._wildcard_text.add(row, self._steps)
            self._step(row)

    def meaning(self, text: str) -> Meaning | None:
        """The meaning of a final text; None if it has none."""
        return self._meaning(text)

    def words(self) -> list[Word]:
        """The best guess at the phrase so far. It may still be rejected."""
        best = self._best(final=False)
        return self._spell(*best) if best else []

    def final_words(self) -> list[Word]:
        """The words of the phrase that was said; none if it was rejected.

        Where the best free text is empty, as in noise, nothing was said.

        Each word has the confidence of the whole phrase: its probability relative to that of the
        best free text, as a geometric mean over the letters. It is lower if the phrase is too short
        for so many phrases.
        """
        best = self._best(final=True) if self._heard else None
        words = self._spell(*best) if best else []
        if not best or not words or words[0].confidence < self._min_confidence:
            return []
        return self._with_free_text(best[1], words)

    def take(self, open_word: bool = True) -> list[Word]:
        """Returns the words of the phrase that was said, and starts again.

        A phrase has no open word: all of it is taken.
        """
        words = self.final_words()
        self._begin()
        return words

    def _begin(self) -> None:
        # By node: the last step said the symbol of the node.
        self._said = Tokens(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
        # By state: the last step was blank.
        self._blank = Tokens(np.zeros(1, np.int64), np.zeros(1, np.float32), np.full(1, -1))
        if self._wildcard_text:
            self._wildcard_text.clear()
        self._record = _Record()
        self._heard = False  # a symbol in the best free text

    def _step(self, scores: Scores) -> None:
        best = int(scores.argmax())
        if best != BLANK and self._alphabet[best].strip():
            self._last_letter_step = self._steps
        self._heard |= best != BLANK
        said = self._advance(scores)
        states, before, traces = self._by_state()
        chosen = _best_indices(states, before)
        blank = Tokens(states[chosen], before[chosen] + scores[BLANK], traces[chosen])
        self._said, self._blank = _prune(said, blank, self.beam)
        self._steps += 1
        if self._record.size > MOST_TRACES:
            self._forget()

    def _advance(self, scores: Scores) -> Tokens:
        """Returns the tokens that say a symbol in this step: they enter a node, or stay in it."""
        graph = self._graph
        arcs, origin = _arcs_of(graph.first_arc, self._blank.places)
        more, source = _arcs_of(graph.first_arc, graph.node_state[self._said.places])
        # CTC merges equal symbols in a row, so a blank must stand between them.
        differ = self._arc_symbol[more] != graph.node_symbol[self._said.places[source]]
        more, source = more[differ], source[differ]
        entered = np.concatenate([arcs, more])
        nodes = np.concatenate([graph.arc_node[entered], self._said.places])
        before = np.concatenate(
            [self._blank.scores[origin], self._said.scores[source], self._said.scores]
        )
        traces = np.concatenate(
            [self._blank.traces[origin], self._said.traces[source], self._said.traces]
        )
        after = before + scores[graph.node_symbol[nodes]]
        after[: len(entered)] += self._arc_weight[entered]
        new = np.arange(len(nodes)) < len(entered)
        chosen = self._select(nodes, after, scores)
        nodes, after, traces, new = nodes[chosen], after[chosen], traces[chosen], new[chosen]
        traces[new] = self._record.add(traces[new], nodes[new], self._steps)
        return Tokens(nodes, after, traces)

    def _select(self, nodes: Ids, after: Scores, scores: Scores) -> Ids:
        """Returns the indices of the tokens to keep: the best of each node, within the beam."""
        rank = max(0, len(scores) - WILD_SYMBOLS)
        least = np.partition(scores, rank)[rank]
        allowed = ~self._graph.free[nodes] | (scores[self._graph.node_symbol[nodes]] >= least)
        near = np.flatnonzero(allowed & (after > after.max(initial=-np.inf) - self.beam))
        chosen: Ids = near[_best_indices(nodes[near], after[near])]
        return chosen

    def _best(self, final: bool) -> tuple[float, int] | None:
        """Score and trace of the best token; with `final`, only at the end of a phrase."""
        states, scores, traces = self._by_state()
        if final:
            scores = scores + self._graph.final[states]
        best = int(scores.argmax())
        if traces[best] < 0 or scores[best] == -np.inf:
            return None
        return float(scores[best]), int(traces[best])

    def _by_state(self) -> tuple[Ids, Scores, Ids]:
        """States, scores and traces of all tokens."""
        return (
            np.concatenate([self._blank.places, self._graph.node_state[self._said.places]]),
            np.concatenate([self._blank.scores, self._said.scores]),
            np.concatenate([self._blank.traces, self._said.traces]),
        )

    def _spell(self, score: float, trace: int) -> list[Word]:
        path = self._record.path(trace)
        confidence = self._confidence(score, path)
        symbols = []
        for entry in path:
            step = int(self._record.step[entry])
            symbols.append(Emission(self._text(entry), step, step, confidence))
        return [self._word(word) for word in split_words(symbols) if word]

    def _with_free_text(self, trace: int, words: list[Word]) -> list[Word]:
        """Replaces the words of wildcards by those of `wildcard_text`, where it finds some."""
        path = self._record.path(trace)
        wild = self._graph.free[self._record.node[path]]
        if not self._wildcard_text or not wild.any():
            return words
        steps = [*self._record.step[path].tolist(), self._steps]
        edges = np.flatnonzero(np.diff(wild, prepend=False, append=False)).reshape(-1, 2)
        for first, after in edges.tolist():
            start = steps[first - 1] + 1 if first else 0
            free = self._wildcard_text.words(start, steps[after])
            if free:
                times = [steps[first] * self._step_seconds, steps[after] * self._step_seconds]
                before = [word for word in words if word.start < times[0] - 1e-3]
                words = before + free + [word for word in words if word.start > times[1] - 1e-3]
        return words

    def _text(self, entry: int) -> str:
        return self._alphabet[int(self._graph.node_symbol[self._record.node[entry]])]

    def _confidence(self, score: float, path: list[int]) -> float:
        """The symbols of a wildcard are no evidence for the phrase: they do not count."""
        fixed = [entry for entry in path if not self._graph.free[self._record.node[entry]]]
        letters = sum(len(self._text(entry).strip()) for entry in fixed)
        missing = min(
            MISSING_LETTER * max(0.0, self._enough_letters - letters), MOST_MISSING * letters
        )
        nats = score - self.symbol_bonus * len(fixed) - missing
        return float(np.exp(min(0.0, nats / max(1, letters))))

    def _forget(self) -> None:
        numbers = self._record.forget(np.concatenate([self._said.traces, self._blank.traces]))
        self._said = self._said._replace(traces=numbers[self._said.traces])
        self._blank = self._blank._replace(traces=numbers[self._blank.traces])


def _arcs_of(
    first_arc: npt.NDArray[np.int32], states: npt.NDArray[np.integer[Any]]
) -> tuple[Ids, Ids]:
    """Returns all arcs that leave the states, and for each arc the index of its state."""
    first = first_arc[states].astype(np.int64)
    counts = first_arc[states + 1] - first
    origin = np.repeat(np.arange(len(states)), counts)
    before = np.cumsum(counts) - counts
    return np.arange(len(origin)) - before[origin] + first[origin], origin


def _best_indices(places: Ids, scores: Scores) -> Ids:
    """Returns the index of the best score of each place."""
    order: Ids = np.lexsort((-scores, places))
    ordered = places[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    best: Ids = order[first]
    return best


def _prune(said: Tokens, blank: Tokens, beam: float) -> tuple[Tokens, Tokens]:
    """Drops the tokens that are too far below the best one, or too many."""
    scores = np.concatenate([said.scores, blank.scores])
    least = scores.max() - beam
    if len(scores) > MOST_TOKENS:
        least = max(least, np.partition(scores, -MOST_TOKENS)[-MOST_TOKENS])
    return _at_least(said, least), _at_least(blank, least)


def _at_least(tokens: Tokens, least: float) -> Tokens:
    keep = tokens.scores >= least
    return Tokens(tokens.places[keep], tokens.scores[keep], tokens.traces[keep])
