"""Specialised models: groups of voices, thresholds, figures, the folder and the report."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import GOLDEN, SPOKEN

from ds2edge.convert.specialise import figures
from ds2edge.convert.specialise.folder import Begun, Checks, Folder, Settings, digest
from ds2edge.convert.specialise.measure import Answer, describe, measure, read_samples
from ds2edge.convert.specialise.other_speech import (
    OtherSpeech,
    recorded_speech,
    synthetic_speech,
)
from ds2edge.convert.specialise.recipe import licences
from ds2edge.convert.specialise.report import Report, VoiceUse, commands, html, to_json
from ds2edge.convert.specialise.threshold import Threshold, choose_threshold
from ds2edge.convert.specialise.voice_groups import VoiceGroups, group_voices
from ds2edge.runtime import InputError, Phrases, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.train.words.advice import Advice

SETTINGS = Settings(4.0, 6, 1, "pretrained", None, ())
VOICES = [f"{engine}-{number}" for engine in "abc" for number in range(20)]
GROUPS = VoiceGroups(("a-1",), ("a-2",), ("a-3",))


def answer(
    kind="phrase", confidence=0.9, right=True, text="yes", noise="no noise", voice="a-1", said="yes"
):
    return Answer(kind, voice, noise, 1.5, said, text, confidence, right)


@given(st.lists(st.sampled_from(VOICES), min_size=1, unique=True))
def test_every_voice_has_one_split_and_no_split_is_empty(names):
    groups = group_voices(names)
    assert {*groups.train, *groups.dev, *groups.test} == set(names)
    assert groups.train
    assert groups.dev
    assert groups.test
    assert groups.apart == (len(names) > 1)
    if len(names) > 2:
        assert sorted((*groups.train, *groups.dev, *groups.test)) == sorted(names)
    assert group_voices(names[::-1]) == groups


def test_each_engine_with_enough_voices_lends_some():
    names = [*(f"big-{i}" for i in range(28)), *(f"small-{i}" for i in range(4)), "one-1"]
    groups = group_voices(names)
    for split in (groups.dev, groups.test):
        assert sorted(name.split("-")[0] for name in split) == ["big", "big", "big", "small"]
    assert "one-1" in groups.train


def test_two_voices_and_one_voice():
    two = group_voices(["a-1", "b-1"])
    assert two.dev == two.test != two.train
    assert group_voices(["a-1"]) == VoiceGroups(("a-1",), ("a-1",), ("a-1",))


def test_the_threshold_rejects_near_misses_that_phrases_can_spare():
    answers = [answer(confidence=c) for c in (0.5, 0.8, 0.9)]
    answers += [answer("near", c, False) for c in (0.3, 0.4, 0.6)]
    threshold = choose_threshold(answers, OtherSpeech((0.1,), 1.0), 0.5)
    assert threshold.for_other_speech == 0.1001
    assert threshold.value == 0.4001
    assert threshold.understood[0] == 100
    assert threshold.understood[60] == pytest.approx(66.667)
    assert threshold.similar_accepted[50] == pytest.approx(33.333)


def test_the_threshold_keeps_the_bound_on_false_accepts():
    answers = [answer(confidence=0.3)]
    other = OtherSpeech((0.6, 0.5, 0.4), 2.0)
    assert choose_threshold(answers, other, 0).value == 0.6001
    assert choose_threshold(answers, other, 0.5).value == 0.5001
    assert choose_threshold(answers, other, 2).value == 0


def test_a_bound_that_cannot_be_met_is_a_warning(caplog):
    answers = [answer(confidence=0.3), answer("near", 0.2)]
    threshold = choose_threshold(answers, OtherSpeech((1.0,), 1.0), 0)
    assert threshold.value == 0.2001
    assert "use longer phrases" in caplog.text
    caplog.clear()
    assert choose_threshold(answers, OtherSpeech((0.5,), 1.0), 0).value == 0.5001
    assert "rejects 100 % of the phrases that are recognised" in caplog.text


def test_a_misunderstood_phrase_is_no_reason_for_a_low_threshold():
    answers = [answer(confidence=0.3, right=False), answer(), answer("near", 0.35, False)]
    assert choose_threshold(answers, OtherSpeech((), 1.0), 0).value == 0.3501


def test_a_threshold_survives_its_file(tmp_path):
    threshold = choose_threshold([answer(), answer("near", 0.2)], OtherSpeech((), 1.0), 0)
    threshold.save(tmp_path / "threshold.json")
    assert Threshold.load(tmp_path / "threshold.json") == threshold


def test_rates_and_outcomes():
    answers = [
        answer(),
        answer(confidence=0.2),
        answer(right=False, text="no"),
        answer(text="", confidence=0.0, right=False),
        answer("near"),
    ]
    [rates] = figures.rates_by("noise", answers, 0.5)
    assert (rates.name, rates.clips) == ("no noise", 4)
    assert (rates.understood, rates.misunderstood, rates.rejected) == (25, 25, 50)
    assert rates.interval[0] <= 25 <= rates.interval[1]
    noisy = [answer(noise="12 dB noise"), answer(noise="6 dB babble", voice="b-1")]
    by_noise = figures.rates_by("noise", noisy, 0.5)
    assert [rates.name for rates in by_noise] == ["12 dB noise", "6 dB babble"]
    assert [rates.name for rates in figures.rates_by("voice", noisy, 0.5)] == ["a-1", "b-1"]


def test_false_accepts_have_an_upper_bound():
    answers = [answer("other", 0.7), answer("other", 0.1), answer("other", 0.0, text=""), answer()]
    other = synthetic_speech(answers)
    assert other == OtherSpeech((0.7, 0.1), 4.5 / 3600)
    row = figures.false_accepts("clips", other + OtherSpeech((0.9,), 1.0), 0.5)
    assert row.accepted == 2
    assert row.an_hour < row.bound
    assert figures.false_accepts("clips", OtherSpeech((), 3.0), 0.5).bound == pytest.approx(1, 0.02)


def test_confusions_count_what_was_accepted_wrongly():
    answers = [
        answer(right=False, text="no"),
        answer(right=False, text="no"),
        answer(right=False, text="no", confidence=0.1),
        answer("near", right=False, said="yet"),
        answer("other", right=False, said="a sentence"),
    ]
    [phrase] = figures.confusions(answers, 0.5, figures.is_phrase)
    assert (phrase.said, phrase.recognised, phrase.count) == ("yes", "no", 2)
    [near] = figures.confusions(answers, 0.5, figures.is_similar)
    assert (near.said, near.recognised, near.count) == ("yet", "yes", 1)
    assert figures.accepted_kinds(answers, 0.5) == [
        figures.Accepted("near", 1, 1),
        figures.Accepted("other", 1, 1),
    ]


def test_intents_are_counted_beside_each_other():
    said = [("Light", "Light"), ("Light", "Time"), ("Light", "Light"), ("Time", "Time")]
    answers = [
        dataclasses.replace(answer(confidence=c), expected_intent=one, intent=other)
        for (one, other), c in zip(said, (0.9, 0.9, 0.1, 0.9), strict=True)
    ]
    table = figures.intent_table([*answers, answer("near")], 0.5)
    assert table == figures.IntentTable(["Light", "Time"], [[1, 1, 1], [0, 1, 0]])
    assert figures.intent_table(answers[3:], 0.5) is None
    assert figures.intent_table([answer()], 0.5) is None


def test_the_bundled_model_is_compared_clip_by_clip():
    noisy = answer(noise="6 dB babble")
    own = [answer(), answer(), noisy, answer("near")]
    unsure = dataclasses.replace(noisy, confidence=0.1)
    generic = [answer(), answer(right=False), unsure, answer("near")]
    compared = figures.compare(own, 0.5, generic, 0.2)
    assert [rates.understood for rates in compared.rates] == [50, 0]
    assert [gain for gain, _ in compared.gains] == [50, 100]


def test_samples_are_read_with_their_meaning(tmp_path):
    phrases = Phrases.of("turn down the radio", "yes")
    manifest = tmp_path / "manifest.jsonl"
    rows = [
        {"audio": "a.wav", "text": "Turn down the RADIO!", "speaker": "anna"},
        {"audio": "b.wav", "text": "turn down the ratio", "kind": "near"},
        {"audio": "c.wav", "intent": "Light", "slots": {"room": "hall"}},
    ]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, near, meant = read_samples(manifest, phrases)
    assert (first.text, first.kind, first.voice) == ("turn down the radio", "phrase", "anna")
    assert first.audio == tmp_path / "a.wav"
    assert near.kind == "near"
    assert meant.text == "Light (room hall)" == describe(meant.meaning)
    manifest.write_text(json.dumps({"audio": "a.wav", "text": "no"}) + "\n")
    with pytest.raises(InputError, match="'no' is none of the phrases"):
        read_samples(manifest, phrases)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(GOLDEN, phrases=Phrases.of(*SPOKEN, min_confidence=0.0))


def test_phrases_are_measured_with_noise_and_others_without(recognizer, tmp_path):
    rows = [{"audio": str(path), "text": text} for text, path in SPOKEN.items()]
    rows += [rows[0] | {"kind": "near", "text": "turn down the ratio"}]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = read_samples(manifest, recognizer.phrases)
    talkers = str(next(iter(SPOKEN.values())).parent)
    answers = measure(recognizer, samples, None, talkers)
    noise, babble = ([f"{snr} dB {kind}" for snr in (24, 12, 6)] for kind in ("noise", "babble"))
    clean = ["no noise"]
    assert [a.noise for a in answers] == clean + noise + clean + babble + clean + noise + clean
    seconds = [len(read_audio(sample.audio, 16000)) / 16000 for sample in samples]
    assert [a.duration for a in answers[::4]] == pytest.approx(seconds, abs=0.01)
    clean = [a for a in answers if a.noise == "no noise"]
    assert [a.right for a in clean] == [True, True, True, False]
    assert [a.text for a in clean[:3]] == list(SPOKEN)
    assert all(0 < a.confidence <= 1 for a in clean)
    assert clean[3].text == "turn down the radio"
    assert measure(recognizer, samples, None, talkers) == answers


def test_half_of_the_recordings_is_for_the_test(recognizer, tmp_path, wav):
    clips = [str(path) for path in SPOKEN.values()]
    half = recorded_speech(recognizer, clips, test=False)
    rest = recorded_speech(recognizer, clips, test=True)
    assert (len(half.confidences), len(rest.confidences)) == (2, 1)
    assert half.hours > rest.hours > 0
    single = [recorded_speech(recognizer, clips[:1], test=test) for test in (False, True)]
    assert single[0] == single[1]
    empty = wav("empty.wav", seconds=0)
    with pytest.raises(InputError):
        recorded_speech(recognizer, [str(empty)], test=True)


def test_a_folder_goes_on_with_what_it_was_begun_with(tmp_path):
    folder = Folder(tmp_path)
    assert folder.begun() is None
    grammar = digest(Phrases.of("yes", "no"))
    folder.begin(Begun(grammar, SETTINGS, GROUPS))
    begun = folder.begun()
    assert begun == Begun(grammar, SETTINGS, GROUPS)
    folder.require_same(begun, grammar, SETTINGS)
    with pytest.raises(InputError, match="begun with other phrases"):
        folder.require_same(begun, digest(Phrases.of("yes", "never")), SETTINGS)
    for change, says in (
        ({"hours": 5.0}, "begun with hours 4.0, not 5.0"),
        ({"voices": ("a",)}, "begun with voices all, not a"),
        ({"noise": "/noise"}, "begun with noise none, not /noise"),
    ):
        with pytest.raises(InputError, match=says):
            folder.require_same(begun, grammar, dataclasses.replace(SETTINGS, **change))
    (tmp_path / "work" / "begun.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        folder.begun()


def test_other_checks_make_threshold_and_report_again_but_nothing_else(tmp_path):
    folder = Folder(tmp_path)
    folder.set_checks(Checks())
    made = (folder.threshold, folder.model, folder.figures, folder.report)
    for path in (*made, folder.int8_model):
        path.write_text("")
    folder.set_checks(Checks())
    assert all(path.exists() for path in made)
    folder.set_checks(Checks(recordings="/manifest.jsonl"))
    assert not any(path.exists() for path in made)
    assert folder.int8_model.exists()


def test_licences_are_named_by_engine():
    voices = [
        SimpleNamespace(name="flite-rms", licence="BSD"),
        SimpleNamespace(name="flite-slt", licence="BSD"),
        SimpleNamespace(name="kokoro-af_bella", licence="Apache-2.0"),
    ]
    assert licences(voices) == "voices: flite (BSD), kokoro (Apache-2.0)"


def report_of(answers, **changes) -> Report:
    threshold = choose_threshold(answers, OtherSpeech((), 1.0), 0.5)
    int8 = SimpleNamespace(
        model=SimpleNamespace(wer=3.0, bytes=5e6, real_time_factor=0.01),
        wer_increase=1.0,
        wer_increase_interval=(-0.5, 2.5),
    )
    rates = figures.rates_by("noise", answers, threshold.value)
    values = {
        "name": "house",
        "settings": SETTINGS,
        "threshold": threshold,
        "advice": [Advice("alike", ("a", "b"), "sound alike", "change one")],
        "by_noise": rates,
        "by_voice": figures.rates_by("voice", answers, threshold.value),
        "false_accepts": [figures.false_accepts("synthetic speech", OtherSpeech((), 1.0), 0.5)],
        "accepted": figures.accepted_kinds(answers, threshold.value),
        "intents": figures.IntentTable(["Light", "Time"], [[5, 1, 0], [0, 4, 2]]),
        "confusions": [figures.Confusion("<b>yes", "no", 3)],
        "similar_accepted": [],
        "generic": figures.compare(answers, 0.5, answers, 0.5),
        "recorded": None,
        "voices": [VoiceUse("a-1", "BSD", "train")],
        "apart": True,
        "licence": "BSD",
        "training_hours": 4.0,
        "parity": SimpleNamespace(
            comparisons=[int8], reference=SimpleNamespace(wer=2.0), clips=200
        ),
    }
    return Report(**values | changes)


def test_the_report_shows_the_figures_and_escapes_phrases(tmp_path):
    answers = [answer(), answer(noise="6 dB babble", right=False), answer("near", 0.2)]
    page = html(report_of(answers), commands(Folder(tmp_path / "my house")))
    assert "understands 100.0 %" in page.replace("\n", " ").replace("  ", " ")
    assert "0.00 phrases an hour" in page
    assert "sound alike" in page
    assert "&lt;b&gt;yes" in page
    assert "<b>yes" not in page
    assert "+1.00 points, 95 % interval -0.50 to +2.50" in page
    assert "my house/model.tflite" in page
    assert '<td class="wrong">1</td>' in page
    assert "were not trained on" in page
    assert page.count('src="data:image/svg+xml;base64,') == 3
    assert "People speak less clearly" in page
    alone = html(report_of(answers, apart=False), {})
    assert "were also trained on" in alone
    assert "Install another voice" in alone


def test_the_report_shows_how_far_the_threshold_carries(tmp_path):
    answers = [answer(), answer("near", 0.2)]
    rates = figures.rates_by("noise", answers, 0.5)
    recorded = figures.Recorded("people/manifest.jsonl", rates, 0.123, rates, None)
    page = html(report_of(answers, recorded=recorded), {})
    assert "would have chosen the threshold 0.123" in page
    assert "People speak less clearly" not in page
    values = json.loads(to_json(report_of(answers, recorded=recorded)))
    assert values["recorded"]["threshold"] == 0.123
    assert values["parity"]["int8_wer"] == 3.0
    assert values["by_noise"][0]["understood"] == 100
