"""Recognizer and Stream on a converted model."""

import functools
import re

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import GOLDEN, RATE, SPOKEN, babble, speech

from ds2edge.runtime import (
    BeamDecoder,
    EndpointRules,
    Fusion,
    GreedyDecoder,
    InputError,
    LanguageModel,
    Listener,
    Phrases,
    Recognizer,
    Stream,
)
from ds2edge.runtime.network import Network
from ds2edge.runtime.pretrained import LANGUAGE_MODEL, PRETRAINED


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return Recognizer(tiny_model)


class RecordingNetwork:
    """A network that records its logits."""

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
    network = RecordingNetwork(recognizer.network)
    stream = Stream(network)
    for piece in np.array_split(samples, 7):
        stream.accept(piece, RATE)
    stream.finish()
    specification, model = tiny_run.specification, tiny_run.best_model()
    padding = recognizer.network.graph.padding
    frames = specification.front_end().padded(samples, padding)
    expected = np.asarray(
        model({"features": frames[None], "lengths": np.array([len(frames)], np.int32)})
    )[0]
    assert expected.std() > 0.1
    heard = np.concatenate(network.logits)[padding.warmup + padding.delay :]
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
    assert expected.text  # the jolted weights make the model say something
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
    assert expected.duration == pytest.approx(0.5, abs=0.001)


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
    assert (result.text, result.words, result.duration) == ("", [], 0.0)


def test_the_rate_may_change_on_the_way(recognizer):
    """Another microphone takes over: what the first one's filter still held is not lost."""
    stream = recognizer.stream()
    stream.accept(babble(0.5, rate=48000), 48000)
    stream.accept(babble(0.5), RATE)
    stream.accept(babble(0.5, rate=8000), 8000)
    assert stream.finish().duration == pytest.approx(1.5, abs=0.001)


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
    result = recognizer.transcribe(path)
    assert result.duration == pytest.approx(stream.finish().duration, abs=0.001)


@settings(max_examples=10, deadline=None)
@given(
    length=st.integers(1, 2 * RATE),
    rate=st.sampled_from([8000, 16000, 44100]),
    channels=st.integers(1, 3),
    dtype=st.sampled_from(["int16", "float32"]),
)
def test_an_array_gives_the_text_of_the_same_file(
    recognizer, tmp_path_factory, length, rate, channels, dtype
):
    mono = babble(2.0, rate)[:length]
    gains = np.array([1.0, 0.5, -0.2], np.float32)[:channels]
    samples = mono[:, None] * gains
    if dtype == "int16":
        samples = np.round(32767 * samples).astype(np.int16)
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16" if dtype == "int16" else "FLOAT")
    if channels == 1:
        samples = samples[:, 0]
    assert recognizer.transcribe(samples, rate) == recognizer.transcribe(path)


def test_no_samples_are_no_text(recognizer):
    assert recognizer.transcribe(np.zeros(0, np.float32), RATE).text == ""
    assert list(recognizer.utterances(np.zeros((0, 2), np.int16), RATE)) == []


@pytest.mark.parametrize(
    ("audio", "rate", "error", "says"),
    [
        ([0.0, 0.1], RATE, TypeError, "a path or a numpy array, not list"),
        (None, None, TypeError, "a path or a numpy array, not NoneType"),
        (babble(0.1), None, InputError, "an array needs its sample rate"),
        (babble(0.1), 16, InputError, "a sample rate of 16 Hz is too low"),
        (babble(0.1), 16000.0, TypeError, "must be a whole number of Hz, not 16000.0"),
        (babble(0.1), "16000", TypeError, "must be a whole number of Hz, not '16000'"),
        (babble(0.1)[None], RATE, InputError, "(1, 1600) would have 1600 channels"),
        (np.zeros((2, 2, 2)), RATE, InputError, "give [n] or [n, channels]"),
        (np.float32(0), RATE, TypeError, "not float32"),
        (np.zeros(9, np.int64), RATE, InputError, "samples of type int64"),
        (np.zeros(9, np.complex64), RATE, InputError, "samples of type complex64"),
        (np.zeros(9, np.uint8), RATE, InputError, "samples of type uint8"),
        ("a.wav", RATE, InputError, "rate is for arrays only"),
        ("no-such-file.wav", None, InputError, "no-such-file.wav"),
    ],
)
def test_a_wrong_recording_is_one_clear_error(recognizer, audio, rate, error, says):
    for call in (recognizer.transcribe, recognizer.utterances):
        with pytest.raises(error, match=re.escape(says)) as caught:
            call(audio, rate)
        assert "\n" not in str(caught.value)


def test_a_stream_refuses_what_is_no_sound(recognizer):
    stream = recognizer.stream()
    with pytest.raises(TypeError, match="must be a numpy array, not list"):
        stream.accept([0.0], RATE)
    with pytest.raises(TypeError, match="whole number of Hz"):
        stream.accept(babble(0.1), None)
    assert stream.finish().duration == 0


def test_progress_is_told_the_seconds_of_each_block(recognizer, wav):
    seconds = []
    recognizer.transcribe(wav("a.wav", seconds=2.5), progress=seconds.append)
    assert seconds == [1.0, 1.0, 0.5]
    seconds.clear()
    list(recognizer.utterances(babble(2.5), RATE, progress=seconds.append))
    assert seconds == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("as_array", [False, True])
def test_the_utterances_of_a_recording_are_those_of_a_listener(tmp_path, as_array):
    recognizer, samples, rules = Recognizer(GOLDEN), speech(gap=1.0), EndpointRules(silence=0.6)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    listener = Listener(recognizer, rules)
    expected = listener.accept(samples, RATE) + listener.finish()
    audio = (samples, RATE) if as_array else (path,)
    utterances = list(recognizer.utterances(*audio, rules=rules))
    assert [utterance.text for utterance in utterances] == list(SPOKEN)
    assert [utterance.words for utterance in utterances] == [u.words for u in expected]
    for utterance, other in zip(utterances, expected, strict=True):
        np.testing.assert_array_equal(utterance.samples, other.samples)
    assert utterances[0].end < utterances[1].start < utterances[2].start


def test_utterances_come_before_the_whole_file_is_read(tmp_path):
    path, seconds = tmp_path / "a.wav", []
    soundfile.write(path, np.tile(speech(), 3), RATE)
    utterances = Recognizer(GOLDEN).utterances(path, progress=seconds.append)
    assert next(utterances).text == next(iter(SPOKEN))
    assert sum(seconds) < 6


def decoder_of(**options) -> str:
    return Recognizer(GOLDEN, **options).decoder().description


def test_options_choose_the_decoder():
    assert decoder_of() == GreedyDecoder(("", "a"), 0.1).description
    assert "beam of 16" in decoder_of(beam=16)
    assert "2 hot words" in decoder_of(hotwords=["Caf\u00e9!", "radio", "RADIO"])
    for model in ("pretrained", LANGUAGE_MODEL, LanguageModel.load(LANGUAGE_MODEL)):
        description = decoder_of(language_model=model, beam=8)
        assert "beam of 8" in description
        assert "language model of" in description
    fusion = Fusion(None, ["radio"])
    assert "1 hot word" in decoder_of(decoder=functools.partial(BeamDecoder, fusion=fusion))


def test_options_decode_as_the_same_decoder_does():
    text, path = next(iter(SPOKEN.items()))
    fusion = Fusion(LanguageModel.load(LANGUAGE_MODEL), ["radio"])
    expert = Recognizer(GOLDEN, decoder=functools.partial(BeamDecoder, fusion=fusion))
    simple = Recognizer(GOLDEN, language_model="pretrained", hotwords=["Radio"])
    assert simple.transcribe(path) == expert.transcribe(path)
    assert simple.transcribe(path).text == text


def test_the_word_pretrained_names_the_model_of_the_kit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Recognizer("pretrained").network.path == PRETRAINED == Recognizer().network.path


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"hotwords": "radio"}, TypeError, "a list of words and phrases, not one string"),
        ({"hotwords": [7]}, TypeError, "a hot word must be a string, not 7"),
        ({"hotwords": ["..."]}, InputError, "hot word '...' has no letter"),
        ({"hotwords": ["\u65e5\u672c"]}, InputError, "this model has no"),
        ({"beam": 0}, InputError, "beam must be at least 1, not 0"),
        ({"beam": 2.5}, TypeError, "beam must be a whole number, not 2.5"),
        ({"threads": 0}, InputError, "threads must be at least 1"),
        ({"language_model": "none.ds2lm"}, InputError, "none.ds2lm: no such language model"),
        ({"language_model": 5}, TypeError, "not int"),
        ({"decoder": GreedyDecoder, "beam": 4}, InputError, "decoder replaces phrases"),
        (
            {"phrases": Phrases.of("a"), "hotwords": ["a"]},
            InputError,
            "these phrases have no wildcard",
        ),
        ({"phrases": Phrases.of("a"), "decoder": GreedyDecoder}, InputError, "give one"),
        ({"phrases": ["a"]}, TypeError, "phrases must be a path or Phrases, not list"),
    ],
)
def test_a_wrong_option_is_one_clear_error(options, error, says):
    with pytest.raises(error, match=re.escape(says)) as caught:
        Recognizer(GOLDEN, **options)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_no_path_is_a_type_error():
    with pytest.raises(TypeError, match="not int"):
        Recognizer(5)


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
    with pytest.raises(InputError, match="is damaged"):
        Recognizer(path)
