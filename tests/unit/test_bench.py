"""`ds2edge bench`: the figures measure what their names say."""

import json
import time

import numpy as np
import pytest
import soundfile
from support import GOLDEN, RATE, SPOKEN

from ds2edge.devices.bench import run_bench
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.memory import peak_memory
from ds2edge.runtime.network import Network

CLIP = SPOKEN["turn down the radio"]


def bench(clip, seconds):
    return run_bench(GOLDEN, clip, seconds, threads=1, decoder=GreedyDecoder)


def test_the_parts_add_up_to_the_real_time_factor():
    result = bench(CLIP, seconds=10)
    assert list(result.parts) == ["front end", "network", "decoder"]
    total = sum(part.milliseconds_per_second for part in result.parts.values())
    assert result.real_time_factor == pytest.approx(total / 1000, rel=0.02)
    assert all(0 < part.p50 <= part.p95 for part in result.parts.values())
    assert 20 < result.peak_memory < 5000


def test_a_slow_network_shows_in_its_own_part_only(monkeypatch):
    step = Network.step

    def slow_step(self, frames, states):
        time.sleep(0.02)
        return step(self, frames, states)

    monkeypatch.setattr(Network, "step", slow_step)
    result = bench(CLIP, seconds=10)
    assert result.parts["network"].p50 >= 20
    assert result.parts["front end"].p50 < 10
    assert result.parts["decoder"].p50 < 10
    assert result.real_time_factor >= 0.02 / result.chunk_seconds


def test_the_final_text_waits_for_the_silence_that_ends_an_utterance():
    latency = bench(CLIP, seconds=5).latency
    assert latency.utterances == 1
    assert 1.2 <= latency.end_of_utterance < 1.2 + 1.5
    assert 0 < latency.first_partial < 1.5


def test_without_speech_there_is_no_latency(tmp_path):
    assert bench(None, seconds=5).latency is None
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    with pytest.raises(InputError, match="no word was recognised in the clip"):
        bench(silent, seconds=5)


def test_the_peak_memory_counts_a_large_array():
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
