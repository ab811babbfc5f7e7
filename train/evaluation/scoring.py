"""Word and character error rates, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer
import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Outputs = list[jiwer.WordOutput] | list[jiwer.CharacterOutput]
RESAMPLES = 2000
DRAWN = 1_000_000  # clips drawn at once, which bounds the memory for a large corpus


@dataclass(frozen=True)
class Score:
    """Errors and reference length of each clip, in words and in characters.

    Errors are substitutions, deletions and insertions together.
    """

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
        """95 % bootstrap interval of the WER in percent (Bisani and Ney 2004, over clips)."""
        return bootstrap_interval(self.word_errors, self.words)

    def cer_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the CER in percent."""
        return bootstrap_interval(self.character_errors, self.characters)

    def of(self, clips: Sequence[int]) -> Score:
        """The score of some of the clips, by their indexes."""
        chosen = np.array(clips)
        return Score(*(counts[chosen] for counts in vars(self).values()))


def score(references: Sequence[str], hypotheses: Sequence[str]) -> Score:
    """Compares normalised texts pair by pair. ValueError if a reference holds no word."""
    pairs = list(zip(references, hypotheses, strict=True))
    by_word = [jiwer.process_words(r, h) for r, h in pairs]
    by_character = [jiwer.process_characters(r, h) for r, h in pairs]
    return Score(_errors(by_word), _lengths(by_word), _errors(by_character), _lengths(by_character))


def _errors(outputs: Outputs) -> Counts:
    return np.array([o.substitutions + o.deletions + o.insertions for o in outputs])


def _lengths(outputs: Outputs) -> Counts:
    return np.array([o.hits + o.substitutions + o.deletions for o in outputs])


def bootstrap_interval(errors: Counts, lengths: Counts) -> tuple[float, float]:
    """95 % interval of 100 * sum(errors) / sum(lengths), drawing clips with replacement.

    The seed is fixed. For the paired interval of a difference, pass the errors of one system minus
    those of another on the same clips.
    """
    rng = np.random.default_rng(0)
    clips = len(errors)
    rates = np.zeros(RESAMPLES)
    rows = max(1, DRAWN // clips)
    for first in range(0, RESAMPLES, rows):
        drawn = rng.integers(clips, size=(min(rows, RESAMPLES - first), clips))
        rates[first : first + rows] = 100 * errors[drawn].sum(1) / lengths[drawn].sum(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def align(reference: str, hypothesis: str) -> list[tuple[str, str]]:
    """Pairs of words with the fewest errors. "" stands for a word that is missing on that side."""
    output = jiwer.process_words(reference, hypothesis)
    reference_words = output.references[0]
    hypothesis_words = output.hypotheses[0]
    pairs: list[tuple[str, str]] = []
    for chunk in output.alignments[0]:
        pairs += zip_longest(
            reference_words[chunk.ref_start_idx : chunk.ref_end_idx],
            hypothesis_words[chunk.hyp_start_idx : chunk.hyp_end_idx],
            fillvalue="",
        )
    return pairs
