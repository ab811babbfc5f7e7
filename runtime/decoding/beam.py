"""CTC prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014, arXiv 1408.2873)."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.decoding.ctc import BLANK, PAUSE_SECONDS, Decoder, Word, split_words
from ds2edge.runtime.decoding.fusion import Fusion
from ds2edge.runtime.decoding.prefix import Alignment, Prefix, most_probable, total_probability

BEAM = 48  # default number of prefixes in the beam

# Symbols below this probability are skipped, which saves most of the time: most steps are blank for
# certain, and only one symbol passes.
MIN_PROBABILITY = 5e-3
# The same for symbols that a hot word needs, since the network is rarely sure of rare pieces.
MIN_HOTWORD_PROBABILITY = 1e-4
# Prefixes that score this many nats less than the best are dropped.
BEAM_MARGIN = 10.0
# New prefixes that are this many nats below the weakest of the next beam by acoustics alone are
# dropped before fusion scores them.
ACOUSTIC_MARGIN = 3.0
# Words older than this become final, so that memory stays bounded.
MAX_OPEN_SECONDS = 10.0
SMALLEST = 1e-300  # stands for a probability of 0, which has no logarithm


class Alternative(NamedTuple):
    """One of several texts of an utterance."""

    words: list[Word]
    # log p(text | audio) plus what fusion adds or takes off, in nats. It compares texts of one
    # utterance only.
    score: float

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.text for word in self.words)


class BeamDecoder(Decoder):
    """Finds the text with the highest probability over all its paths, plus what `Fusion` adds."""

    def __init__(
        self,
        alphabet: Sequence[str],
        step_seconds: float,
        fusion: Fusion | None = None,
        beam: int = BEAM,
    ) -> None:
        """`step_seconds`: seconds of audio per step. `beam`: the number of prefixes to keep.

        InputError if the alphabet cannot spell a hot word of `fusion`.
        """
        super().__init__(alphabet, step_seconds)
        self._fusion = (fusion or Fusion()).spelled_in(alphabet)
        self._blank_factor = self._fusion.blank_factor
        self._width = beam
        self._symbols = [re.sub(" +", " ", symbol) for symbol in alphabet]
        self._symbol_parts = [symbol.split(" ") for symbol in self._symbols]
        self._max_open_steps = round(MAX_OPEN_SECONDS / step_seconds)
        self._in_pause = False
        self._begin()

    @property
    def description(self) -> str:
        """The beam's width and the parts of the fusion, for reports."""
        return ", ".join([f"beam of {self._width}", *self._fusion.descriptions])

    def accept(self, logits: npt.NDArray[np.float32]) -> None:
        """Decodes the next logits, float32 [steps, symbols]."""
        exp = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
        for probabilities in (exp / exp.sum(-1, keepdims=True)).tolist():
            self._step(probabilities)
            self._steps += 1
            self._in_pause = self._in_pause and self.blank_seconds >= PAUSE_SECONDS
            if not self._in_pause and self.blank_seconds >= PAUSE_SECONDS:
                self._in_pause = True
                self._end_words()
            if self._steps % self._max_open_steps == 0:
                self._finalise(self._steps - self._max_open_steps)

    @property
    def empty(self) -> bool:
        """True if there is no word, not even an open one."""
        return not self._words and self._beam[0] is self._root

    def words(self) -> list[Word]:
        """All words so far, as if the open one had ended."""
        return self.alternatives(1)[0].words

    def alternatives(self, count: int) -> list[Alternative]:
        """The `count` best texts so far, or fewer, best first, as if the open word had ended.

        All begin with the words that are final.
        """
        groups = self._by_ended_prefix()
        scores = {
            ended: _log(total_probability(prefixes)) + ended.state.finished_score
            for ended, prefixes in groups.items()
        }
        alternatives = []
        for ended in sorted(scores, key=scores.__getitem__, reverse=True)[:count]:
            emissions = most_probable(groups[ended]).emissions()
            words = [self._word(word) for word in split_words(emissions) if word]
            alternatives.append(Alternative(self._words + words, scores[ended] + self._log_scale))
        return alternatives

    def take(self, open_word: bool = True) -> list[Word]:
        """Returns the words so far and drops them, so that memory stays bounded.

        With `open_word=False` the open word stays in the decoder.
        """
        if open_word:
            self._words = self.words()
            self._begin()
        else:
            self._finalise(self._steps)
        words = self._words
        self._words = []
        return words

    def _begin(self) -> None:
        self._root = Prefix(None, "", self._fusion.start)
        self._root.p_blank = 1.0
        self._beam = [self._root]  # best first
        self._log_scale = 0.0  # log probability of the beam's 1, since `_begin`

    def _step(self, probabilities: list[float]) -> None:
        """Extends the beam by one step, given the probability of each symbol."""
        highest = max(probabilities)
        self._best_symbol = probabilities.index(highest)
        if self._symbols[self._best_symbol].strip():
            self._last_letter_step = self._steps
        minimum = min(MIN_PROBABILITY, highest)
        likely = sorted(
            ((p, symbol) for symbol, p in enumerate(probabilities) if p >= minimum), reverse=True
        )
        threshold = self._acoustic_threshold([p for p, _ in likely])
        # A dictionary serves as a set in a fixed order, so that ties fall the same way each time.
        self._reached: dict[Prefix, None] = {}
        for prefix in self._beam:
            total = prefix.probability
            least = math.exp(threshold - prefix.state.score)
            floor = max(minimum, least / total)
            for p, symbol in likely:
                if p < floor:
                    break
                self._extend(prefix, total, symbol, p, least)
            for symbol in self._fusion.hotwords.continuations(prefix.state.match):
                if MIN_HOTWORD_PROBABILITY <= probabilities[symbol] < floor:
                    self._extend(prefix, total, symbol, probabilities[symbol], 0.0)
        for prefix in self._reached:
            prefix.p_blank = prefix.next_p_blank
            prefix.p_nonblank = prefix.next_p_nonblank
            prefix.next_p_blank = 0.0
            prefix.next_p_nonblank = {}
        self._keep_best(list(self._reached))

    def _acoustic_threshold(self, likely: list[float]) -> float:
        """The score below which new prefixes are dropped before fusion scores them.

        `likely`: the probabilities of the symbols that pass.
        """
        scores = np.add.outer([prefix.score for prefix in self._beam], np.log(likely)).ravel()
        threshold = float(scores.max()) - BEAM_MARGIN
        if len(scores) > self._width:
            weakest = float(np.partition(scores, -self._width)[-self._width])
            threshold = max(threshold, weakest - ACOUSTIC_MARGIN)
        return threshold

    def _extend(self, prefix: Prefix, total: float, symbol: int, p: float, least: float) -> None:
        """Extends the paths of `prefix`, of probability `total`, by a symbol of probability `p`.

        A blank or a repeat of the last symbol leaves the prefix as it is. A new symbol makes it
        longer, unless its probability falls to `least`.
        """
        if symbol == BLANK:
            prefix.next_p_blank += total * p * self._blank_factor
            self._reached[prefix] = None
            return
        if not prefix.open_word and self._symbols[symbol] == " ":  # a space after a space
            prefix.add_nonblank(symbol, total * p)
            self._reached[prefix] = None
            return
        incoming = total
        if symbol in prefix.p_nonblank:
            repeating = prefix.p_nonblank[symbol]
            incoming = total - repeating if len(prefix.p_nonblank) > 1 else prefix.p_blank
            self._repeat(prefix, symbol, repeating, p)
        incoming *= p
        if incoming <= least:
            return
        longer = self._longer(prefix, symbol)
        longer.add_nonblank(symbol, incoming)
        self._reached[longer] = None
        if incoming > longer.inflow:
            text = self._symbols[symbol]
            now = self._steps
            longer.alignment = Alignment(text, now, now, p, symbol, prefix.alignment, longer.length)
            longer.inflow = incoming

    def _repeat(self, prefix: Prefix, symbol: int, repeating: float, p: float) -> None:
        """Paths that end in `symbol` emit it for one step more."""
        prefix.add_nonblank(symbol, repeating * p)
        self._reached[prefix] = None
        alignment = prefix.alignment
        if symbol == self._best_symbol and alignment is not None and alignment.symbol == symbol:
            alignment.last = self._steps
            alignment.probability = max(alignment.probability, p)

    def _longer(self, prefix: Prefix, symbol: int) -> Prefix:
        """The prefix with one more symbol. A space after a space adds nothing."""
        for number, letters in enumerate(self._symbol_parts[symbol]):
            if number:
                prefix = self._end_word(prefix)
            if letters:
                word = prefix.open_word + letters
                longer = prefix.extensions.get(word)
                if longer is None:
                    state = self._fusion.add_letters(prefix.state, letters)
                    longer = prefix.extensions[word] = Prefix(prefix.finished, word, state)
                prefix = longer
        return prefix

    def _end_word(self, prefix: Prefix) -> Prefix:
        """The prefix with its open word ended."""
        if not prefix.open_word:
            return prefix
        word = prefix.open_word + " "
        ended = prefix.extensions.get(word)
        if ended is None:
            state = self._fusion.end_word(prefix.state)
            ended = prefix.extensions[word] = Prefix(prefix.finished, word, state)
        return ended

    def _keep_best(self, prefixes: list[Prefix]) -> None:
        """Makes the best of `prefixes` the new beam, and scales the best probability to 1."""
        for prefix in prefixes:
            prefix.score = _log(prefix.probability) + prefix.state.score
        prefixes.sort(key=lambda prefix: -prefix.score)
        least = prefixes[0].score - BEAM_MARGIN
        scale = prefixes[0].probability
        before = self._beam
        self._beam = [prefix for prefix in prefixes[: self._width] if prefix.score >= least]
        for prefix in {*before, *prefixes}.difference(self._beam):
            prefix.inflow = 0.0  # if it comes back, it is aligned anew
        self._log_scale += math.log(scale)
        for prefix in self._beam:
            prefix.score -= math.log(scale)
            prefix.p_blank /= scale
            prefix.p_nonblank = {symbol: p / scale for symbol, p in prefix.p_nonblank.items()}

    def _by_ended_prefix(self) -> dict[Prefix, list[Prefix]]:
        """The beam, grouped by the prefix with the open word ended: "a" and "a " are one."""
        ended: dict[Prefix, list[Prefix]] = defaultdict(list)
        for prefix in self._beam:
            ended[self._end_word(prefix)].append(prefix)
        return ended

    def _end_words(self) -> None:
        """Ends the open words in a pause, whether or not the network emits a space."""
        groups = [
            (ended, total_probability(prefixes), most_probable(prefixes))
            for ended, prefixes in self._by_ended_prefix().items()
        ]
        now = self._steps
        for ended, total, best in groups:
            if best is not ended:
                before = best.alignment
                ended.alignment = Alignment(" ", now, now, 1.0, BLANK, before, ended.length)
            ended.p_blank = total
            ended.p_nonblank = {}
        self._keep_best([ended for ended, _, _ in groups])

    def _finalise(self, before: int) -> None:
        """Makes the best prefix's words that ended before step `before` final.

        Drops the prefixes that begin with other words.
        """
        best = self._beam[0]
        ends = [
            prefix
            for prefix in reversed(best.lineage())
            if not prefix.open_word and prefix is not self._root
        ]
        for end, word in zip(ends, split_words(best.emissions()), strict=False):
            if word[-1].last > before:
                break
            self._words.append(self._word(word))
            self._root = end
        self._beam = [prefix for prefix in self._beam if self._root in prefix.lineage()]
        self._root.parent = None
        for prefix in self._beam:
            prefix.forget_before(self._root)


def _log(probability: float) -> float:
    return math.log(probability or SMALLEST)
