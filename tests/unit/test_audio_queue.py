"""The queue between a microphone and the recognizer, empty and overfull."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2edge.runtime.live.audio_queue import AudioQueue
from ds2edge.runtime.live.block import Block


def block(number: int, samples: int = 100) -> Block:
    return Block(np.full(samples, number, np.int16), 1000, float(number))


def test_blocks_keep_their_order():
    queue = AudioQueue(10.0)
    for number in range(5):
        queue.put(block(number))
    assert [queue.get(0).captured for _ in range(5)] == [0, 1, 2, 3, 4]
    assert queue.take_dropped() == 0


def test_an_empty_queue_returns_none_after_the_timeout():
    started = time.monotonic()
    assert AudioQueue(1.0).get(0.05) is None
    assert time.monotonic() - started >= 0.05


def test_a_new_block_wakes_a_waiting_reader():
    queue = AudioQueue(1.0)
    threading.Timer(0.05, queue.put, [block(7)]).start()
    assert queue.get(10).captured == 7


def test_a_full_queue_drops_the_oldest_and_counts_it():
    queue = AudioQueue(1.0)
    for number in range(25):
        queue.put(block(number))
    assert queue.take_dropped() == pytest.approx(1.5)
    assert queue.take_dropped() == 0
    assert [queue.get(0).captured for _ in range(10)] == list(range(15, 25))
    assert queue.get(0) is None


def test_a_block_longer_than_the_queue_is_kept():
    queue = AudioQueue(0.05)
    queue.put(block(1, samples=1000))
    assert queue.get(0).captured == 1


@given(st.lists(st.one_of(st.integers(1, 400), st.none()), max_size=60))
def test_every_block_is_returned_or_counted_as_dropped(moves):
    """An integer puts a block of that many samples, None gets a block."""
    queue = AudioQueue(1.0)
    put = got = dropped = 0.0
    for samples in moves:
        if samples:
            queue.put(block(0, samples))
            put += samples / 1000
        elif (taken := queue.get(0)) is not None:
            got += len(taken.samples) / 1000
        dropped += queue.take_dropped()
    waiting = 0.0
    while (taken := queue.get(0)) is not None:
        waiting += len(taken.samples) / 1000
    assert waiting <= 1.0 + 1e-9
    assert put == pytest.approx(got + waiting + dropped)
