"""Recognizer and Stream on a converted model."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import RATE, babble

from ds2edge.runtime import InputError, Recognizer
from ds2edge.runtime.network import Network
from ds2edge.runtime.recognizer import Stream
from ds2edge.runtime.specification import silence_after


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return Recognizer(tiny_model)


class Listener:
    """A network that keeps its logits."""

    def __init__(self, network: Network) -> None:
        self.network, self.specification, self.graph = network, network.specification, network.graph
        self.initial_states = network.initial_states
        self.logits: list[np.ndarray] = []

    def step(self, frames, states):
        logits, states = self.network.step(frames, states)
        self.logits.append(logits)
        return logits, states


def test_the_stream_gives_the_logits_of_the_keras_model_on_the_whole_clip(recognizer, tiny_run):
    samples = babble(1.37)
    listener = Listener(recognizer.network)
    stream = Stream(listener)
    for piece in np.array_split(samples, 7):
        stream.accept(piece, RATE)
    stream.finish()
    specification, model = tiny_run.specification, tiny_run.best_model()
    stride, lookahead = model.settings.time_stride, model.settings.lookahead
    warmup = model.settings.warmup * stride * specification.features.hop
    silence = silence_after(len(samples), specification.features, stride, lookahead)
    frames = specification.front_end()(np.pad(samples, (warmup, silence)))
    expected = np.asarray(
        model({"features": frames[None], "lengths": np.array([len(frames)], np.int32)})
    )[0]
    assert expected.std() > 0.1
    heard = np.concatenate(listener.logits)[model.settings.warmup + lookahead :]
    np.testing.assert_allclose(heard[: len(expected)], expected, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, RATE), max_size=9))
def test_any_chunking_gives_the_same_result(recognizer, cuts):
    samples = babble(1.0)
    whole, pieces = recognizer.stream(), recognizer.stream()
    whole.accept(samples, RATE)
    for piece in np.split(samples, sorted(cuts)):
        pieces.accept(piece, RATE)
    expected = whole.finish()
    assert expected.text  # the weights are jolted, so that it says something
    assert pieces.finish() == expected


@settings(max_examples=10, deadline=None)
@given(block=st.integers(1, 3000))
def test_block_edges_add_nothing_to_a_resampled_stream(recognizer, block):
    samples = babble(0.5, rate=44100)
    whole, pieces = recognizer.stream(), recognizer.stream()
    whole.accept(samples, 44100)
    for first in range(0, len(samples), block):
        pieces.accept(samples[first : first + block], 44100)
    expected = whole.finish()
    assert pieces.finish() == expected
    assert expected.seconds == pytest.approx(0.5, abs=0.001)


def test_two_streams_at_once_do_not_disturb_each_other(recognizer):
    sounds = babble(1.0), babble(1.0, seed=5)[::-1].copy()
    alone = []
    for sound in sounds:
        stream = recognizer.stream()
        stream.accept(sound, RATE)
        alone.append(stream.finish())
    assert alone[0] != alone[1]
    together = [recognizer.stream() for _ in sounds]
    for first in range(0, RATE, 1600):
        for stream, sound in zip(together, sounds, strict=True):
            stream.accept(sound[first : first + 1600], RATE)
    assert [stream.finish() for stream in together] == alone


def test_int16_and_stereo_are_heard_like_float_mono(recognizer):
    whole = (babble(0.6) * 32767).astype(np.int16)
    forms = [whole, whole.astype(np.float32) / 32768, np.stack([whole, whole], 1)]
    texts = set()
    for form in forms:
        stream = recognizer.stream()
        stream.accept(form, RATE)
        texts.add(stream.finish().text)
    assert len(texts) == 1


def test_partial_grows_into_the_result(recognizer):
    stream = recognizer.stream()
    partials = []
    for piece in np.array_split(babble(1.5), 15):
        stream.accept(piece, RATE)
        partials.append(stream.partial())
    text = stream.finish().text
    assert all(text.startswith(partial) for partial in partials)
    assert stream.finish().text == text


def test_nothing_heard_is_no_text(recognizer):
    result = recognizer.stream().finish()
    assert (result.text, result.words, result.seconds) == ("", [], 0.0)


def test_the_rate_may_change_on_the_way(recognizer):
    """Another microphone takes over: what the first one's filter still held is not lost."""
    stream = recognizer.stream()
    stream.accept(babble(0.5, rate=48000), 48000)
    stream.accept(babble(0.5), RATE)
    stream.accept(babble(0.5, rate=8000), 8000)
    assert stream.finish().seconds == pytest.approx(1.5, abs=0.001)


def test_a_finished_stream_is_refused(recognizer):
    stream = recognizer.stream()
    stream.accept(babble(0.1), RATE)
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.accept(babble(0.1), RATE)


def test_a_file_is_a_stream(recognizer, wav):
    path = wav("a.wav", seconds=1.3, rate=48000)
    stream = recognizer.stream()
    stream.accept(soxr.resample(babble(1.3, rate=48000), 48000, RATE), RATE)
    assert recognizer.transcribe(path).seconds == pytest.approx(stream.finish().seconds, abs=0.001)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.97, 0.999])
def test_a_model_cut_short_is_refused_in_one_line(tiny_model, tmp_path, part):
    whole = tiny_model.read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match="cut short") as caught:
        Recognizer(path)
    assert "\n" not in str(caught.value)


def test_a_model_damaged_before_its_specification_is_refused(tiny_model, tmp_path):
    whole = tiny_model.read_bytes()
    path = tmp_path / "damaged.tflite"
    path.write_bytes(whole[5000:])
    with pytest.raises(InputError, match="cannot load this model"):
        Recognizer(path)
