"""The training data of the pretrained model: which clips, texts and weights it has."""

import json
import zlib

import pytest
import soundfile
from click.testing import CliRunner
from support import RATE, babble, pretrained_script

from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.data.text import normalise

speech = pretrained_script("speech")


def add(folder, name, text, split="train", seconds=0.5, **more):
    """Writes a clip and adds it to the manifest of its corpus."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "audio" / name, babble(seconds), RATE)
    row = {"audio": f"audio/{name}", "duration": seconds, "text": text, "split": split} | more
    with (folder / "manifest.jsonl").open("a") as lines:
        lines.write(json.dumps(row) + "\n")


@pytest.fixture
def corpora(tmp_path):
    """DATA and MORE with a train clip in every corpus, and a dev clip in those that have dev."""
    data = tmp_path / "data"
    more = tmp_path / "more"
    for corpus in speech.CORPORA:
        folder = (more if corpus.more else data) / corpus.name
        heard = {"heard": True} if corpus.heard else {}
        name = "heard.wav" if corpus.heard else "clip.wav"
        add(folder, name, f"Said in {corpus.name}", corpus.train or "test", **heard)
        if corpus.dev:
            add(folder, "dev.wav", f"Judged in {corpus.name}", "dev")
    return data, more


LABELS = {
    "librispeech_resemblyzer/heard": ("whispered in libri", 0.8),
    "commonvoice_13delta/heard": ("whispered in common voice", 0.15),
}


def collect(corpora, labels=LABELS):
    clips, left = speech.collect(*corpora, labels)
    return {(clip["corpus"], clip["audio"].rsplit("/")[-1]): clip for clip in clips}, left


def test_every_corpus_is_used_with_its_weight(corpora):
    clips, left = collect(corpora)
    assert {corpus for corpus, _ in clips} == {corpus.name for corpus in speech.CORPORA}
    assert not left
    assert clips["kathleen", "clip.wav"]["text"] == "said in kathleen"
    assert clips["kathleen", "clip.wav"]["duration"] == 0.5
    assert clips["commonvoice_6_1_sample_en", "clip.wav"]["split"] == "train"
    weights = {key: clip["weight"] for key, clip in clips.items() if clip["weight"] != 1}
    assert weights == {
        ("librispeech_resemblyzer", "heard.wav"): 0.8,
        ("commonvoice_13delta", "heard.wav"): 0.15,
        ("speechocean762", "clip.wav"): 0.33,
    }
    assert clips["commonvoice_13delta", "heard.wav"]["text"] == "whispered in common voice"
    assert clips["commonvoice_13delta", "clip.wav"]["weight"] == 1


def test_test_corpora_are_never_trained_on(corpora):
    data, _ = corpora
    for name in speech.TEST_CORPORA:
        add(data / name, "a.wav", "one of these words")
        add(data / name, "b.wav", "Said in kathleen!", "test")
    clips, left = collect(corpora)
    assert not speech.TEST_CORPORA & {corpus for corpus, _ in clips}
    assert ("librispeech_heldout4", "clip.wav") not in clips
    assert ("kathleen", "clip.wav") not in clips
    assert left == {("kathleen", "a dev or test sentence"): 1}


def test_half_of_common_voice_is_dev(corpora):
    for i in range(8):
        name = f"{i * 37 % 11}{i}.wav"
        add(corpora[0] / speech.HALVED, name, f"number {i}", "dev")
    clips, _ = collect(corpora)
    dev = [key for key, clip in clips.items() if clip["split"] == "dev"]
    names = {name for corpus, name in dev if corpus == speech.HALVED}
    assert 0 < len(names) < 8
    assert {zlib.crc32(name.encode()) % 2 for name in names} == {0}


@pytest.mark.parametrize("labels", [{}, dict.fromkeys(LABELS, ("judged in ljspeech part", 1.0))])
def test_a_clip_without_transcript_needs_a_text_that_is_no_dev_sentence(corpora, labels):
    add(
        corpora[0] / "ljspeech_part",
        "b.wav",
        "as printed",
        "dev",
        text_normalized="judged in ljspeech part",
    )
    clips, left = collect(corpora, labels)
    assert "heard.wav" not in {name for _, name in clips}
    assert sum(left.values()) == 2


def test_neither_of_two_recognised_texts_may_be_a_dev_sentence(corpora):
    add(corpora[1] / "librispeech_resemblyzer", "second.wav", "Judged in ljspeech_part", heard=True)
    label = {"librispeech_resemblyzer/second": ("judge in l j speech", 1.0)}
    clips, _ = collect(corpora, LABELS | label)
    assert ("librispeech_resemblyzer", "second.wav") not in clips


def test_clips_too_short_too_long_or_without_words_are_left_out(corpora):
    folder = corpora[0] / "kathleen"
    add(folder, "short.wav", "hm", seconds=0.29)
    add(folder, "long.wav", "and so on", seconds=24.1)
    add(folder, "mute.wav", "!?")
    clips, left = collect(corpora)
    assert [name for corpus, name in clips if corpus == "kathleen"] == ["clip.wav"]
    assert left == {("kathleen", "not 0.3 to 24 s"): 2, ("kathleen", "no text"): 1}


def test_the_script_writes_a_manifest_and_the_sentences(corpora, tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "read_heard", lambda: LABELS)
    out = tmp_path / "out"
    done = CliRunner().invoke(speech.main, [*map(str, corpora), str(out)])
    assert done.exit_code == 0, done.output
    assert "all train: 13 clips" in done.output
    clips = read_manifest(out / "manifest.jsonl")
    assert {clip.weight for clip in clips} == {1.0, 0.8, 0.15, 0.33}
    assert all(clip.audio.is_file() for clip in clips)
    said = (out / "texts.txt").read_text().splitlines()
    assert said == [clip.text for clip in clips if clip.split == "train"]
    before = (out / "manifest.jsonl").read_bytes()
    CliRunner().invoke(speech.main, [*map(str, corpora), str(out)])
    assert (out / "manifest.jsonl").read_bytes() == before


def test_a_missing_corpus_or_missing_sound_is_one_line(corpora, tmp_path):
    data, more = corpora
    (data / "kathleen" / "audio" / "clip.wav").unlink()
    done = CliRunner().invoke(speech.main, [str(data), str(more), str(tmp_path / "out")])
    assert done.exit_code == 2
    assert done.output.startswith("error: 1 of 15 clips, more than 1 %, cannot be read")
    (data / "kathleen" / "manifest.jsonl").unlink()
    done = CliRunner().invoke(speech.main, [str(data), str(more), str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "kathleen/manifest.jsonl: no such manifest: DATA must hold it" in done.output


def test_recognised_texts_are_sorted_and_normalised_and_have_weights():
    labels = speech.read_heard()
    assert list(labels) == sorted(labels)
    assert {weight for _, weight in labels.values()} == {1.0, 0.8, 0.4, 0.15}
    assert all(text and text == normalise(text).text for text, _ in list(labels.values())[::20])
