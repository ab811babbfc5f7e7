"""Cuts a recording of any length into utterances, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.arrays import check_rate, check_samples
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.beam import Alternative
from ds2edge.runtime.decoding.ctc import Decoder, Meaning, Word
from ds2edge.runtime.endpoint import Ended, Endpointer, EndpointRules
from ds2edge.runtime.features import Samples
from ds2edge.runtime.stream import StepNetwork, Stream

BYTES_PER_SAMPLE = 4
MARGIN = 0.5  # seconds of sound kept before the first word of an utterance and after its last


@dataclass(frozen=True)
class Utterance:
    """What was said between two pauses. Times are in seconds from the start of the recording."""

    words: list[Word]  # at least one
    samples: Samples  # its sound with a margin on both sides, float32 at the model's rate
    meaning: Meaning | None = None  # of a phrase
    # The best texts with their scores, best first, if they were asked for.
    alternatives: list[Alternative] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        """Start of the first word."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """End of the last word."""
        return self.words[-1].end

    @property
    def confidence(self) -> float:
        """Mean confidence of the words, 0..1."""
        return round(sum(word.confidence for word in self.words) / len(self.words), 4)


class UtteranceStream:
    """A recording that is being cut into utterances.

    The states of the network carry on from one utterance to the next, as the sound does. The words
    and the sound of an utterance are dropped once it is returned, so memory stays bounded. Only a
    bidirectional model keeps everything to the end of the recording.
    """

    def __init__(
        self,
        network: StepNetwork,
        decoder: Decoder,
        rules: EndpointRules | None = None,
        alternatives: int = 0,
    ) -> None:
        """`rules`: when an utterance ends; the defaults of `EndpointRules` if None.

        `alternatives`: how many texts of an utterance a beam search returns; others return none.
        """
        self._endpointer = Endpointer(decoder, rules or EndpointRules(), alternatives)
        self._stream = Stream(network, self._endpointer)
        self._rate = network.specification.features.sample_rate
        self._resampler = Resampler(self._rate)
        self._recent = _RecentSamples()

    @property
    def duration(self) -> float:
        """Seconds of sound so far."""
        return self._recent.end / self._rate

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> list[Utterance]:
        """Takes the next samples, as `Stream.accept` does. Returns the utterances that ended."""
        self._feed(self._resampler.accept(check_samples(samples), check_rate(rate)))
        return self._utterances(self._endpointer.take())

    def partial(self) -> str:
        """The text of the open utterance. Its last word may still change."""
        return self._endpointer.text()

    def finish(self) -> list[Utterance]:
        """Ends the recording. Returns the remaining utterances."""
        self._feed(self._resampler.finish())
        self._stream.finish()
        return self._utterances(self._endpointer.take(last=True))

    def _feed(self, samples: Samples) -> None:
        self._recent.append(samples)
        self._stream.accept(samples, self._rate)

    def _utterances(self, ended: list[Ended]) -> list[Utterance]:
        utterances = [self._utterance(utterance) for utterance in ended]
        self._recent.drop_before(self._sample(self._endpointer.start - MARGIN))
        return utterances

    def _utterance(self, ended: Ended) -> Utterance:
        text = " ".join(word.text for word in ended.words)
        sound = self._sound(ended.words, ended.decided)
        return Utterance(ended.words, sound, self._endpointer.meaning(text), ended.alternatives)

    def _sound(self, words: list[Word], decided: float) -> Samples:
        start = words[0].start - MARGIN
        # Not past the decision, even if more sound is there: the result must not depend on how the
        # sound is cut into calls.
        end = min(words[-1].end + MARGIN, decided)
        return self._recent.between(self._sample(start), self._sample(end))

    def _sample(self, seconds: float) -> int:
        return max(0, round(seconds * self._rate))


class _RecentSamples:
    """The last samples of a stream, addressed by their number since it began."""

    def __init__(self) -> None:
        # float32 samples as bytes: cheap to shorten at the front and to extend at the end.
        self._bytes = bytearray()
        self._first = 0  # number of the first sample in it
        self.end = 0

    def append(self, samples: Samples) -> None:
        self._bytes += samples.tobytes()
        self.end += len(samples)

    def drop_before(self, first: int) -> None:
        if first > self._first:
            del self._bytes[: BYTES_PER_SAMPLE * (first - self._first)]
            self._first = first

    def between(self, start: int, end: int) -> Samples:
        """The samples from `start` up to `end`, as far as they are still there."""
        first = BYTES_PER_SAMPLE * max(0, start - self._first)
        last = BYTES_PER_SAMPLE * max(0, end - self._first)
        return np.frombuffer(bytes(self._bytes[first:last]), np.float32)
