"""The golden vectors, which the runtimes in Java and JavaScript must reproduce too."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from record_vectors import FOLDER, ROOT, meaning, pieces, quantized, read, stage, utterances, words

from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.runtime.network import Network
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.stream import Stream


def cases(name: str) -> list[Any]:
    return [
        pytest.param(case, id=case.get("name", str(case.get("rate"))).replace(" ", "-"))
        for case in stage(name)["cases"]
    ]


def floats(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(32768)


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]], tolerance: float):
    """Equal utterances, but for the last digits of the confidence."""

    def split(utterance):
        spoken = utterance["words"]
        return utterance | {"words": [word[:3] for word in spoken]}, [word[3] for word in spoken]

    for one, other in zip(map(split, found), map(split, expected), strict=True):
        assert one[0] == other[0]
        assert one[1] == pytest.approx(other[1], abs=tolerance)


@pytest.mark.parametrize("case", cases("resampler"))
def test_resampler(case):
    resampler = Resampler(stage("resampler")["rate"])
    expected = read(case["expected"])
    resampled = [resampler.accept(read(case["samples"]), case["rate"]), resampler.finish()]
    np.testing.assert_allclose(np.concatenate(resampled), expected, atol=2e-3)


@pytest.mark.parametrize("case", cases("features"))
def test_features(case):
    content = stage("features")
    samples = floats(read(content["samples"])[: case["length"]])
    features = Features(FeatureSettings(**case["settings"]), case["mean"], case["deviation"])
    whole = features(samples)
    np.testing.assert_allclose(whole, read(case["frames"]), rtol=1.2e-7, atol=1e-8)
    cut = [features.accept(piece) for piece in pieces(samples, content["cuts"])]
    np.testing.assert_array_equal(np.concatenate(cut), whole)


@pytest.mark.parametrize("case", cases("streams"))
def test_network(case):
    network = Network(ROOT / case["model"])
    states = network.initial_states()
    frames = read(case["frames"]).astype(np.int32) - case["zero_point"]
    for chunk, expected in zip(
        frames.astype(np.float32) * np.float32(case["scale"]), read(case["logits"]), strict=True
    ):
        logits, states = network.step(chunk, states)
        np.testing.assert_array_equal(
            logits, expected, "the model has changed: run tests/record_vectors.py"
        )
    order = case["states"]["order"]
    assert [[state.name, list(state.shape)] for state in network.graph.states] == order
    after = np.concatenate([states[name].ravel() for name, _ in order])
    np.testing.assert_array_equal(after, read(case["states"]))


@pytest.mark.parametrize("case", cases("streams"))
def test_stream(case):
    content = stage("streams")
    network = Network(ROOT / case["model"])
    expected = read(case["frames"])
    step = network.step
    seen = []

    def recording_step(frames, states):
        seen.append(quantized(frames, case["scale"], case["zero_point"]))
        return step(frames, states)

    network.step = recording_step
    stream = Stream(network)
    partials = []
    for piece in pieces(read(content["samples"]), content["cuts"]):
        stream.accept(piece, content["rate"])
        partials.append(stream.partial())
    result = stream.finish()
    np.testing.assert_array_equal(np.stack(seen), expected)
    assert partials == case["partials"]
    assert result.duration == case["duration"]
    assert_same([{"words": words(result.words)}], [{"words": case["words"]}], 2e-4)


@pytest.mark.parametrize("case", cases("decoding"))
def test_greedy(case):
    decoder = GreedyDecoder(case["alphabet"], case["step_seconds"])
    logits = read(case["logits"])
    size = stage("decoding")["partial_steps"]
    cuts = [*range(0, len(logits), size), len(logits)]
    partials = []
    for first, last in pairwise(cuts):
        decoder.accept(logits[first:last])
        partials.append(decoder.text())
    assert partials == case["partials"]
    assert_same([{"words": words(decoder.final_words())}], [{"words": case["words"]}], 2e-4)


@pytest.mark.parametrize("case", cases("endpoints"))
def test_endpoints(case):
    decoder = GreedyDecoder(case["alphabet"], case["step_seconds"])
    found = utterances(decoder, EndpointRules(**case["rules"]), read(case["logits"]))
    assert_same(found, case["utterances"], 2e-4)


@pytest.mark.parametrize("case", cases("phrases"))
def test_phrases(case):
    decoder = Phrases.load(FOLDER / case["phrases"])(case["alphabet"], case["step_seconds"])
    found = utterances(decoder, EndpointRules(0.5, 0.3, 20.0), read(case["logits"]))
    assert_same(found, case["utterances"], 5e-4)


def test_compiled_phrases_are_those_of_their_source():
    for name in ("house", "names"):
        compiled = Phrases.load(FOLDER / f"{name}.ds2ph")
        source = Phrases.load(FOLDER / f"{name}.yaml")
        assert compiled.grammar.to_dict() == source.grammar.to_dict()
        assert compiled.letters.labels == source.letters.labels


@pytest.mark.parametrize("case", stage("phrases")["meanings"], ids=lambda case: case["text"])
def test_meaning(case):
    phrases = Phrases.load(FOLDER / case["phrases"])
    assert meaning(phrases.meaning(case["text"])) == case["meaning"]
