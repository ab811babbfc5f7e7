"""Word and character error rates, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer
import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
RESAMPLES = 2000
DRAWN = (
    1_000_000  # clips drawn at once: bounds the memory that the interval of a large corpus takes
)


@dataclass(frozen=True)
class Score:
    """Errors (substitutions, deletions, insertions) and reference length of each clip, in words and in characters."""

    word_errors: Counts
    words: Counts
    character_errors: Counts
    characters: Counts

    @property
    def wer(self) -> float:
        """Word error rate in percent, over all clips together."""
        return 100 * float(self.word_errors.sum() / self.words.sum())

    @property
    def cer(self) -> float:
        """Character error rate in percent, over all clips together."""
        return 100 * float(self.character_errors.sum() / self.characters.sum())

    def wer_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the WER in percent (Bisani and Ney 2004: whole clips are drawn)."""
        return bootstrap_interval(self.word_errors, self.words)

    def cer_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the CER in percent."""
        return bootstrap_interval(self.character_errors, self.characters)

    def of(self, clips: Sequence[int]) -> Score:
        """The score on some of the clips, by their numbers."""
        chosen = np.array(clips)
        return Score(*(counts[chosen] for counts in vars(self).values()))


def score(references: Sequence[str], hypotheses: Sequence[str]) -> Score:
    """Compares normalised texts pair by pair; every reference must hold a word (jiwer raises ValueError otherwise)."""
    pairs = list(zip(references, hypotheses, strict=True))
    by_word = [jiwer.process_words(r, h) for r, h in pairs]
    by_character = [jiwer.process_characters(r, h) for r, h in pairs]

    def errors(outputs: list[jiwer.WordOutput] | list[jiwer.CharacterOutput]) -> Counts:
        return np.array([o.substitutions + o.deletions + o.insertions for o in outputs])

    def lengths(outputs: list[jiwer.WordOutput] | list[jiwer.CharacterOutput]) -> Counts:
        return np.array([o.hits + o.substitutions + o.deletions for o in outputs])

    return Score(errors(by_word), lengths(by_word), errors(by_character), lengths(by_character))


def bootstrap_interval(errors: Counts, lengths: Counts) -> tuple[float, float]:
    """95 % interval of 100 * sum(errors) / sum(lengths) when clips are drawn with replacement; the seed is fixed.

    With errors = those of one system less those of another on the same clips: the paired interval of the difference.
    """
    rng, clips, rates = np.random.default_rng(0), len(errors), np.zeros(RESAMPLES)
    rows = max(1, DRAWN // clips)
    for first in range(0, RESAMPLES, rows):
        drawn = rng.integers(clips, size=(min(rows, RESAMPLES - first), clips))
        rates[first : first + rows] = 100 * errors[drawn].sum(1) / lengths[drawn].sum(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def align(reference: str, hypothesis: str) -> list[tuple[str, str]]:
    """Word beside word, by the fewest errors; "" stands in the place of a word that is missing on that side."""
    output = jiwer.process_words(reference, hypothesis)
    said, heard = output.references[0], output.hypotheses[0]
    pairs: list[tuple[str, str]] = []
    for chunk in output.alignments[0]:
        words = (
            said[chunk.ref_start_idx : chunk.ref_end_idx],
            heard[chunk.hyp_start_idx : chunk.hyp_end_idx],
        )
        pairs += zip_longest(*words, fillvalue="")
    return pairs
