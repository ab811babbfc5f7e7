"""Where one utterance ends and the next begins, in a stream of logits that has no end itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ds2edge.runtime.decoding.ctc import Decoder, Word
from ds2edge.runtime.network import Logits


@dataclass(frozen=True)
class EndpointRules:
    """An utterance is over when one of these is reached; seconds. After the three endpoint rules of sherpa-onnx."""

    idle: float = 2.4  # blanks, though nothing has been said
    silence: float = 1.2  # blanks after words
    length: float = 20.0  # the whole utterance: the word that is being said goes to the next one

    def __post_init__(self) -> None:
        for name in ("idle", "silence", "length"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"endpoint rule {name} must be above 0 s, not {getattr(self, name)}"
                )


class Ended(NamedTuple):
    """The words of an utterance that is over."""

    words: list[Word]  # at least one
    decided: float  # seconds of the stream at which it was over


class Endpointer:
    """A decoder that cuts what it decodes into utterances, step by step: how the logits are chunked changes nothing."""

    def __init__(self, decoder: Decoder, rules: EndpointRules) -> None:
        """`decoder` gives its words up to the utterances, so that it holds those of the open one alone."""
        self._decoder = decoder
        self._rules = rules
        self._ended: list[Ended] = []
        self.start = 0.0  # seconds from which the open utterance counts

    def accept(self, logits: Logits) -> None:
        """Next logits, float [steps, symbols]."""
        for step in range(len(logits)):
            self._decoder.accept(logits[step : step + 1])
            self._apply_rules()

    def words(self) -> list[Word]:
        """Words of the utterance that is still open."""
        return self._decoder.words()

    def text(self) -> str:
        """Text of the utterance that is still open."""
        return self._decoder.text()

    def take(self, last: bool = False) -> list[Ended]:
        """The utterances that ended since the last call; `last` ends the open one as well."""
        if last:
            self._end(self._decoder.take())
        ended, self._ended = self._ended, []
        return ended

    def _apply_rules(self) -> None:
        lasting = self._decoder.seconds - self.start
        blank = min(self._decoder.blank_seconds, lasting)
        if blank >= (self._rules.idle if self._decoder.empty else self._rules.silence):
            self._end(self._decoder.take())
        elif lasting >= self._rules.length:
            self._end(self._decoder.take(open_word=False) or self._decoder.take())

    def _end(self, words: list[Word]) -> None:
        if words:
            self._ended.append(Ended(words, self._decoder.seconds))
        unfinished = self._decoder.words()
        self.start = unfinished[0].start if unfinished else self._decoder.seconds
