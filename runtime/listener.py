"""A recording without end: sound in, utterances out, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.ctc import Word
from ds2edge.runtime.endpoint import Ended, Endpointer, EndpointRules
from ds2edge.runtime.features import Samples
from ds2edge.runtime.recognizer import Recognizer, Stream

SAMPLE = 4  # bytes
MARGIN = 0.5  # seconds of sound kept before the first word of an utterance and after its last


@dataclass(frozen=True)
class Utterance:
    """What was said between two pauses; times in seconds since the listener began."""

    words: list[Word]  # at least one
    sound: Samples  # with a margin on both sides, float32 at the model's rate

    @property
    def text(self) -> str:
        """The words, one space between them."""
        return " ".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        """Where the first word begins."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Where the last word ends."""
        return self.words[-1].end

    @property
    def confidence(self) -> float:
        """Mean of the words'."""
        return round(sum(word.confidence for word in self.words) / len(self.words), 4)


class Listener:
    """Hears without end and cuts what is said into utterances.

    The network's states are carried from one utterance to the next, as the sound itself goes on; the words and the
    sound of an utterance are forgotten with it.
    """

    def __init__(self, recognizer: Recognizer, rules: EndpointRules | None = None) -> None:
        """Listeners of one recognizer may be interleaved, from one thread. InputError for a bidirectional model."""
        specification = recognizer.specification
        specification.require_streaming(recognizer.network.path)
        self._endpointer = Endpointer(recognizer.decoder(), rules or EndpointRules())
        self._stream = Stream(recognizer.network, self._endpointer)
        self._rate = specification.features.sample_rate
        self._resampler = Resampler(self._rate)
        self._recent = _RecentSound()

    @property
    def heard(self) -> float:
        """Seconds of sound so far."""
        return self._recent.end / self._rate

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> list[Utterance]:
        """Next samples, as `Stream.accept` takes them -> the utterances that ended with them. `rate` may change."""
        self._hear(self._resampler.accept(samples, rate))
        return self._utterances(self._endpointer.take())

    def partial(self) -> str:
        """Text of the utterance that is still open; its last word may still grow."""
        return self._endpointer.text()

    def finish(self) -> list[Utterance]:
        """Ends the recording -> the utterances that are left."""
        self._hear(self._resampler.finish())
        self._stream.finish()
        return self._utterances(self._endpointer.take(last=True))

    def _hear(self, samples: Samples) -> None:
        self._recent.append(samples)
        self._stream.accept(samples, self._rate)

    def _utterances(self, ended: list[Ended]) -> list[Utterance]:
        utterances = [Utterance(words, self._sound(words, decided)) for words, decided in ended]
        self._recent.forget(self._sample(self._endpointer.start - MARGIN))
        return utterances

    def _sound(self, words: list[Word], decided: float) -> Samples:
        # Not past the decision, though more may have been heard: how sound is cut into calls changes nothing.
        start, end = words[0].start - MARGIN, min(words[-1].end + MARGIN, decided)
        return self._recent.between(self._sample(start), self._sample(end))

    def _sample(self, seconds: float) -> int:
        return max(0, round(seconds * self._rate))


class _RecentSound:
    """The last samples of a stream, by their number since it began."""

    def __init__(self) -> None:
        self._bytes = (
            bytearray()
        )  # float32; cheap to shorten in front and to lengthen behind, by any number of samples
        self._first = 0  # number of the first sample in it
        self.end = 0

    def append(self, samples: Samples) -> None:
        self._bytes += samples.tobytes()
        self.end += len(samples)

    def forget(self, before: int) -> None:
        if before > self._first:
            del self._bytes[: SAMPLE * (before - self._first)]
            self._first = before

    def between(self, start: int, end: int) -> Samples:
        """What is left of samples start..end."""
        left = slice(SAMPLE * max(0, start - self._first), SAMPLE * max(0, end - self._first))
        return np.frombuffer(bytes(self._bytes[left]), np.float32)
