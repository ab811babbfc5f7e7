"""Listener: endless recordings on a converted model."""

import itertools
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import GOLDEN, RATE, SPOKEN, babble, speech

from ds2edge.runtime import EndpointRules, Listener, Recognizer
from ds2edge.runtime.live.block import Block

RULES = EndpointRules(idle=1.0, silence=0.3, length=2.0)


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return Recognizer(tiny_model)


def sound(seed: int = 0) -> np.ndarray:
    """Babble, silence, babble."""
    return np.concatenate(
        [babble(0.9, seed=seed), np.zeros(RATE, np.float32), babble(1.2, seed=seed + 1)]
    )


def heard(recognizer, blocks, rate=RATE, rules=RULES) -> list:
    listener = Listener(recognizer, rules)
    found = [utterance for block in blocks for utterance in listener.accept(block, rate)]
    return [(u.words, u.samples.tolist()) for u in found + listener.finish()]


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 49000), max_size=9))
def test_any_chunking_gives_the_same_words_and_sound(recognizer, cuts):
    samples = sound()
    expected = heard(recognizer, [samples])
    assert len(expected) >= 2
    assert (
        heard(recognizer, np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)))
        == expected
    )


def test_one_sample_at_a_time_gives_the_same(recognizer):
    samples = sound()[: 2 * RATE]
    assert heard(recognizer, samples[:, None]) == heard(recognizer, [samples])


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_block_edges_add_nothing_at_any_rate(recognizer, rate):
    samples = babble(0.5, rate)
    assert heard(recognizer, np.array_split(samples, 23), rate) == heard(
        recognizer, [samples], rate
    )


def test_the_utterances_are_those_of_the_whole_recording(recognizer):
    """Cutting decides where an utterance ends, not which letters it holds."""
    stream = recognizer.stream()
    stream.accept(sound(), RATE)
    words = [word for words, _ in heard(recognizer, [sound()]) for word in words]
    assert "".join(word.text for word in words) == stream.finish().text.replace(" ", "")


def test_the_sound_kept_is_that_of_the_words_with_a_margin(recognizer):
    samples = sound()
    for words, kept in heard(recognizer, [samples]):
        first, last = (
            max(0, round(RATE * seconds)) for seconds in (words[0].start - 0.5, words[-1].end + 0.5)
        )
        assert RATE * (words[-1].end - words[0].start) <= len(kept) <= last - first
        np.testing.assert_array_equal(kept, samples[first : first + len(kept)])


def test_two_listeners_at_once_do_not_disturb_each_other(recognizer):
    sounds = sound(), sound(seed=5)[::-1].copy()
    alone = [heard(recognizer, [samples]) for samples in sounds]
    assert alone[0] != alone[1]
    together = [Listener(recognizer, RULES) for _ in sounds]
    found: list[list] = [[], []]
    for first in range(0, len(sounds[0]), 1600):
        for number, (listener, samples) in enumerate(zip(together, sounds, strict=True)):
            found[number] += listener.accept(samples[first : first + 1600], RATE)
    for number, listener in enumerate(together):
        found[number] += listener.finish()
        assert [(u.words, u.samples.tolist()) for u in found[number]] == alone[number]


@pytest.mark.parametrize(
    "bad",
    [
        np.full(RATE, np.nan, np.float32),
        np.full(RATE, np.inf, np.float32),
        np.zeros(RATE, np.float32),
        np.sign(babble(1.0)),
        babble(1.0) + np.float32(0.9),
        babble(1.0) * np.float32(1e30),
        np.full(RATE, -32768, np.int16),
    ],
    ids=[
        "nan",
        "infinite",
        "all zero",
        "clipped",
        "DC offset",
        "absurdly loud",
        "int16 at its least",
    ],
)
def test_bad_sound_does_no_lasting_harm(recognizer, bad):
    """The states stay finite: what follows is transcribed."""
    listener = Listener(recognizer, RULES)
    listener.accept(bad, RATE)
    for _ in range(5):
        listener.accept(np.zeros(RATE, np.float32), RATE)
    found = listener.accept(sound(), RATE) + listener.finish()
    assert found
    assert all(0 < word.confidence <= 1 for utterance in found for word in utterance.words)


def test_nothing_grows(recognizer):
    """Ten minutes of talk: the rules bound what the listener holds in memory."""
    listener = Listener(recognizer, RULES)
    most = 0
    for block in itertools.islice(
        itertools.cycle([babble(1.0), np.zeros(RATE // 2, np.float32)]), 800
    ):
        listener.accept(block, RATE)
        most = max(most, len(listener._recent._bytes), 100 * len(listener.partial()))
    assert listener.duration == 600
    assert 4 * RATE < most < 4 * RATE * (RULES.length + 2)


def test_partial_is_the_open_utterance_alone(recognizer):
    listener = Listener(recognizer, RULES)
    finals, partials = [], []
    for block in np.array_split(sound(), 62):
        finals += listener.accept(block, RATE)
        partials.append(listener.partial())
    finals += listener.finish()
    assert listener.partial() == ""
    assert any(partial and finals[-1].text.startswith(partial) for partial in partials[40:])


class FakeMicrophone:
    """Plays samples in blocks of a tenth of a second, and records what is done to it."""

    def __init__(self, samples: np.ndarray) -> None:
        self.pieces = np.array_split(samples, len(samples) // 1600)
        self.events: list[str] = []

    def __enter__(self) -> "FakeMicrophone":
        self.events.append("opened")
        return self

    def __exit__(self, *raised: object) -> None:
        self.events.append("closed")

    def blocks(self, stop: Event | None = None):
        for piece in self.pieces:
            if stop and stop.is_set():
                return
            yield Block(piece, RATE, 0.0)


def test_listening_to_a_microphone_yields_its_utterances():
    microphone = FakeMicrophone(speech())
    listener = Listener(Recognizer(GOLDEN))
    assert [utterance.text for utterance in listener.listen(microphone)] == list(SPOKEN)
    assert microphone.events == ["opened", "closed"]


def test_leaving_the_loop_closes_the_microphone():
    microphone = FakeMicrophone(speech())
    utterances = Listener(Recognizer(GOLDEN)).listen(microphone)
    assert microphone.events == []
    assert next(utterances).text == next(iter(SPOKEN))
    utterances.close()
    assert microphone.events == ["opened", "closed"]


def test_stopping_yields_the_open_utterance_too():
    microphone, stop = FakeMicrophone(speech()), Event()
    microphone.pieces = microphone.pieces[:14]  # the first utterance, without silence after it
    pieces = iter(microphone.pieces)

    def blocks(asked: Event | None = None):
        assert asked is stop
        for piece in pieces:
            yield Block(piece, RATE, 0.0)
        stop.set()

    microphone.blocks = blocks
    utterances = list(Listener(Recognizer(GOLDEN)).listen(microphone, stop))
    assert [utterance.text for utterance in utterances] == [next(iter(SPOKEN))]
