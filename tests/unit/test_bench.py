"""`ds2edge bench` measures what it says it measures."""

import json
import time

import numpy as np
import pytest
import soundfile
from support import GOLDEN, RATE, SPOKEN

from ds2edge.devices.bench import measure, peak_memory
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Network

CLIP = SPOKEN["turn down the radio"]


def test_parts_add_up_to_the_real_time_factor():
    bench = measure(GOLDEN, CLIP, seconds=10, threads=1, decoder=GreedyDecoder)
    assert list(bench.parts) == ["front end", "network", "decoder"]
    total = sum(part.milliseconds_per_second for part in bench.parts.values())
    assert bench.real_time_factor == pytest.approx(total / 1000, rel=0.02)
    assert all(0 < part.p50 <= part.p95 for part in bench.parts.values())
    assert 20 < bench.peak_memory < 5000


def test_a_slow_network_shows_in_its_part_alone(monkeypatch):
    step = Network.step

    def slow(self, frames, states):
        time.sleep(0.02)
        return step(self, frames, states)

    monkeypatch.setattr(Network, "step", slow)
    bench = measure(GOLDEN, CLIP, seconds=10, threads=1, decoder=GreedyDecoder)
    assert bench.parts["network"].p50 >= 20
    assert bench.parts["front end"].p50 < 10
    assert bench.parts["decoder"].p50 < 10
    assert bench.real_time_factor >= 0.02 / bench.chunk_seconds


def test_latency_is_at_least_what_the_rules_ask_for():
    latency = measure(GOLDEN, CLIP, seconds=5, threads=1, decoder=GreedyDecoder).latency
    assert latency.utterances == 1
    assert 1.2 <= latency.end_of_utterance < 1.2 + 1.5
    assert 0 < latency.first_partial < 1.5


def test_without_speech_there_is_no_latency(tmp_path):
    assert measure(GOLDEN, None, seconds=5, threads=1, decoder=GreedyDecoder).latency is None
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    with pytest.raises(InputError, match="no word was recognised in the clip"):
        measure(GOLDEN, silent, seconds=5, threads=1, decoder=GreedyDecoder)


def test_peak_memory_counts_what_was_held():
    before = peak_memory()
    block = np.ones(int(before * 1e6) // 8 + 8_000_000)
    assert peak_memory() > before
    assert block.nbytes > 0


def test_the_command_prints_a_table_or_json(ds2edge):
    common = ("bench", "-m", GOLDEN, "--seconds", 5, "--clip", CLIP, "--threads", 2)
    table = ds2edge(*common)
    assert table.returncode == 0, table.stderr
    for words in ("2 threads", "front end", "network", "decoder", "first partial", "peak memory"):
        assert words in table.stdout
    facts = json.loads(ds2edge(*common, "--json").stdout)
    assert facts["threads"] == 2
    assert facts["parts"]["network"]["p95"] > 0
    bad = ds2edge("bench", "-m", GOLDEN, "--clip", "none.wav")
    assert (bad.returncode, bad.stderr) == (2, "error: none.wav: no such file\n")
