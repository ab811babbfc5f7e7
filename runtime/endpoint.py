"""Cuts an endless stream of logits into utterances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ds2edge.runtime.decoding.beam import Alternative, BeamDecoder
from ds2edge.runtime.decoding.ctc import Decoder, Meaning, Word
from ds2edge.runtime.network import Logits


@dataclass(frozen=True)
class EndpointRules:
    """When an utterance ends, in seconds. Whichever rule applies first ends it.

    These are the three endpoint rules of sherpa-onnx.
    """

    idle: float = 2.4  # without a letter, before the first word
    silence: float = 1.2  # without a letter, after a word
    length: float = 20.0  # of the whole utterance; an open word goes to the next one

    def __post_init__(self) -> None:
        for name in ("idle", "silence", "length"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"endpoint rule {name} must be above 0 s, not {getattr(self, name)}"
                )


class Ended(NamedTuple):
    """An utterance that has ended."""

    words: list[Word]  # at least one
    decided: float  # time in the stream, in seconds, at which the end was detected
    alternatives: list[Alternative]  # best first, if they were asked for


class Endpointer:
    """A decoder that cuts its output into utterances.

    It works step by step, so the result does not depend on how the logits are chunked.
    """

    def __init__(self, decoder: Decoder, rules: EndpointRules, alternatives: int = 0) -> None:
        """Takes the words of finished utterances out of `decoder`, so its memory stays bounded.

        `alternatives`: how many texts of an utterance a beam search returns; others return none.
        """
        self._decoder = decoder
        self._rules = rules
        self._alternatives = alternatives
        self._ended: list[Ended] = []
        self.start = 0.0  # start of the open utterance, in seconds of the stream

    def accept(self, logits: Logits) -> None:
        """Takes the next logits, float [steps, symbols]."""
        for step in range(len(logits)):
            self._decoder.accept(logits[step : step + 1])
            self._apply_rules()

    def words(self) -> list[Word]:
        """The words of the open utterance."""
        return self._decoder.words()

    def final_words(self) -> list[Word]:
        """The words of the open utterance, at the end of the stream."""
        return self._decoder.final_words()

    def meaning(self, text: str) -> Meaning | None:
        """What a final text means. Only phrases have a meaning."""
        return self._decoder.meaning(text)

    def text(self) -> str:
        """The text of the open utterance."""
        return self._decoder.text()

    def take(self, last: bool = False) -> list[Ended]:
        """Returns the utterances that ended since the last call; `last` ends the open one too."""
        if last:
            self._end_all()
        ended = self._ended
        self._ended = []
        return ended

    def _apply_rules(self) -> None:
        duration = self._decoder.seconds - self.start
        blank = min(self._decoder.blank_seconds, duration)
        if blank >= (self._rules.idle if self._decoder.empty else self._rules.silence):
            self._end_all()
        elif duration >= self._rules.length:
            words = self._decoder.take(open_word=False)
            if words:
                self._end(words, [])
            else:
                self._end_all()

    def _end_all(self) -> None:
        alternatives: list[Alternative] = []
        if self._alternatives and isinstance(self._decoder, BeamDecoder):
            alternatives = self._decoder.alternatives(self._alternatives)
        self._end(self._decoder.take(), alternatives)

    def _end(self, words: list[Word], alternatives: list[Alternative]) -> None:
        if words:
            self._ended.append(Ended(words, self._decoder.seconds, alternatives))
        unfinished = self._decoder.words()
        self.start = unfinished[0].start if unfinished else self._decoder.seconds
