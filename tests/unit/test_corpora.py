"""Importers, on miniature copies of each layout and on real speech.

DS2EDGE_SPEECH names a folder of real speech. It holds one folder with a manifest for each corpus;
ljspeech_part, librispeech_heldout4 and commonvoice_6_1_sample_en are used.
"""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support import babble, film
from unreliable_server import serve

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.commands.data import SUBSETS, data
from ds2edge.train.corpora import importing, librispeech, ljspeech
from ds2edge.train.corpora.commonvoice import import_commonvoice
from ds2edge.train.corpora.folder import choose_split, import_folder
from ds2edge.train.corpora.librispeech import import_librispeech
from ds2edge.train.corpora.ljspeech import import_ljspeech, split_of
from ds2edge.train.data.check import check
from ds2edge.train.data.manifest import read_manifest


def sound(path: Path, seconds: float = 0.5, rate: int = 16000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(babble(seconds, rate)[:, None], channels, 1), rate)


def make_ljspeech(root: Path, lines: list[str]) -> Path:
    for line in lines:
        sound(root / "wavs" / f"{line.split('|')[0]}.wav", rate=22050)
    (root / "metadata.csv").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return root


def make_librispeech(root: Path, names: dict[str, str]) -> Path:
    for name, text in names.items():
        speaker, chapter, _ = name.split("-")
        sound(root / speaker / chapter / f"{name}.flac")
        with (root / speaker / chapter / f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{name} {text}\n")
    return root


def make_commonvoice(root: Path, rows: dict[str, list[tuple[str, str, str]]]) -> Path:
    for split, clips in rows.items():
        table = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\n"
        for speaker, name, sentence in clips:
            sound(root / "clips" / name, rate=32000)
            table += f"{speaker}\t{name}\tx\t{sentence}\t2\t0\t\n"
        (root / f"{split}.tsv").write_text(table, "utf-8")
    return root


def packed(top: str, folder: Path, kind: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as file:
        file.add(folder, top)
    return buffer.getvalue()


LJ = [
    "LJ001-0001|No. 1455|Number fourteen fifty-five",
    'LJ010-0002|"So be it," he said|"So be it," he said',
    "LJ020-0003|\u00a3 5|five p\u00e2t\u00e9s",
    "LJ050-0004|The end.|The end.",
]


def test_ljspeech_uses_the_text_as_read(tmp_path, caplog):
    root = make_ljspeech(tmp_path / "LJSpeech-1.1", LJ)
    clips = read_manifest(import_ljspeech(tmp_path / "out", tmp_path))
    assert [clip.text for clip in clips] == [
        "Number fourteen fifty-five",
        '"So be it," he said',
        "five p\u00e2t\u00e9s",
        "The end.",
    ]
    assert [clip.split for clip in clips] == ["train", "dev", "test", "test"]
    assert clips[0].audio.resolve() == (root / "wavs" / "LJ001-0001.wav").resolve()
    assert {(clip.speaker, clip.duration) for clip in clips} == {("LJ", 0.5)}
    assert "lists 4 clips; the whole corpus has 13100" in caplog.text


def test_chapters_of_ljspeech_have_one_split_and_held_out_splits_several_chapters():
    splits = {
        chapter: {split_of(f"LJ{chapter:03}-{clip:04}") for clip in (1, 99, 250)}
        for chapter in range(1, 51)
    }
    assert all(len(found) == 1 for found in splits.values())
    chosen = {
        split: [chapter for chapter, found in splits.items() if found == {split}]
        for split in ("dev", "test")
    }
    assert chosen == {"dev": [10, 40], "test": [20, 30, 50]}


def test_ljspeech_is_downloaded_unpacked_and_listed_in_one_call(tmp_path, monkeypatch):
    content = packed("LJSpeech-1.1", make_ljspeech(tmp_path / "published", LJ), "bz2")
    monkeypatch.setattr(ljspeech, "SIZE", len(content))
    monkeypatch.setattr(ljspeech, "CHECKSUM", f"sha256:{hashlib.sha256(content).hexdigest()}")
    monkeypatch.setenv("NO_PROXY", "*")
    with serve(content) as server:
        for _ in range(2):
            manifest = import_ljspeech(tmp_path / "lj", url=f"{server.url}/lj?version=1.1")
    assert len(server.ranges) == 1
    assert manifest == tmp_path / "lj" / "manifest.jsonl"
    assert sorted(path.name for path in manifest.parent.iterdir()) == [
        "LJSpeech-1.1",
        "manifest.jsonl",
    ]
    assert (
        json.loads(manifest.read_text().split("\n")[0])["audio"]
        == "LJSpeech-1.1/wavs/LJ001-0001.wav"
    )
    (tmp_path / "a.tar.bz2").write_bytes(content)
    for _ in range(2):
        again = import_ljspeech(tmp_path / "again", tmp_path / "a.tar.bz2")
    assert again.read_text() == manifest.read_text()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("LJ001-0009|only two", "metadata.csv:5: 2 fields"),
        ("LJ001-0009|one|two|three", "metadata.csv:5: 4 fields"),
        ("QQ001-0009|a|a", "metadata.csv:5: 'QQ001-0009' is not the name of a clip"),
    ],
)
def test_a_bad_line_of_ljspeech_is_named(tmp_path, line, says):
    root = make_ljspeech(tmp_path / "lj", LJ)
    with (root / "metadata.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=says):
        import_ljspeech(tmp_path / "out", root)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_copy_is_named(tmp_path, caplog):
    root = make_ljspeech(tmp_path / "lj", LJ)
    (root / "wavs" / "LJ020-0003.wav").unlink()
    assert len(read_manifest(import_ljspeech(tmp_path / "out", root))) == 3
    assert "LJ020-0003.wav: no such file" in caplog.text
    with pytest.raises(InputError, match=r"holds no metadata\.csv"):
        import_ljspeech(tmp_path / "out", tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        import_ljspeech(tmp_path / "out", tmp_path / "none")


def own_voice(root: Path, table: str, suffix: str = "wav") -> Path:
    """Four clips in the layout of LJSpeech, with other names, and a table of them."""
    for number in range(4):
        sound(root / "wavs" / f"me_{number}.{suffix}", rate=22050)
    (root / "metadata.csv").write_text(table, "utf-8")
    return root


@pytest.mark.parametrize(
    "line",
    ["me_{n}|{n} dogs", "me_{n}|{n}|{n} dogs", "me_{n}.wav|{n} dogs|", "wavs/me_{n}|{n} dogs"],
)
def test_own_recordings_in_the_layout_of_ljspeech(tmp_path, line):
    root = own_voice(
        tmp_path / "me", "\ufeff" + "".join(line.format(n=n) + "\r\n" for n in range(4)), "WAV"
    )
    for manifest in (
        import_ljspeech(tmp_path / "a", root),
        import_folder(root, tmp_path / "b", 0, 0, True, False),
        import_folder(root / "metadata.csv", tmp_path / "c", 0, 0, True, False),
    ):
        clips = read_manifest(manifest)
        assert [(clip.audio.name, clip.text) for clip in clips] == [
            (f"me_{n}.WAV", f"{n} dogs") for n in range(4)
        ]


def test_a_bad_line_of_own_recordings_is_named(tmp_path):
    root = own_voice(tmp_path / "me", "me_0|one\nme_1|a|b|c\n")
    with pytest.raises(InputError, match=r"metadata\.csv:2: 4 fields between"):
        import_folder(root, tmp_path / "out", 0, 0, True, False)


def test_in_a_small_corpus_every_bad_clip_is_named_with_its_line(tmp_path, caplog):
    rows = [f"{n}.wav,clip {n}" for n in range(20)]
    for number in range(20):
        sound(tmp_path / f"{number}.wav", 0.1)
    sound(tmp_path / "short.wav", 1 / 16000)
    bad = [f"gone{n}.wav,x" for n in range(7)] + ["3.wav,...", "short.wav,x", ",", " , "]
    (tmp_path / "T.CSV").write_text("audio,text\n" + "\n".join(rows + bad) + "\n")
    clips = read_manifest(import_folder(tmp_path / "T.CSV", tmp_path / "out", 0, 0, True, False))
    assert len(clips) == 20
    for number, what in enumerate(
        ["gone0.wav", "gone6.wav", "no letter is left", "1 samples are too short"]
    ):
        assert what in caplog.text, number
    assert "T.CSV:22: " in caplog.text
    assert "skipped 9 of 29 clips" in caplog.text


def test_more_than_1_percent_of_bad_clips_are_refused_without_skip_bad(tmp_path):
    sound(tmp_path / "a.wav", 0.05)
    rows = ["a.wav,x"] * 200 + ["gone.wav,x"] * 3
    (tmp_path / "t.csv").write_text("audio,text\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match=r"3 of 203 .*more than 1 %.*t\.csv:202.*--skip-bad"):
        import_folder(tmp_path / "t.csv", tmp_path / "out", 0, 0, True, False)
    assert (
        len(
            read_manifest(
                import_folder(tmp_path / "t.csv", tmp_path, 0, 0, True, False, skip_bad=True)
            )
        )
        == 200
    )


@pytest.mark.parametrize("kind", ["ljspeech", "own", "librispeech"])
def test_skip_bad_leaves_out_any_number_of_bad_clips(kind, tmp_path):
    """By the command, so that no importer forgets to hand the option on."""
    if kind == "librispeech":
        names = {f"1-2-{number:04d}": "word" for number in range(4)}
        root = make_librispeech(tmp_path / "LibriSpeech" / "train-clean-5", names)
        more = "".join(f"1-2-{number:04d} word\n" for number in range(4, 200))
        with (root / "1" / "2" / "1-2.trans.txt").open("a") as file:
            file.write(more)
        command = ["librispeech", "--subset", "train-clean-5", "--from", str(tmp_path)]
    else:
        name = "LJ001-0001" if kind == "ljspeech" else "me_1"
        root = make_ljspeech(tmp_path / "LJSpeech-1.1", [f"{name}|a|a"])
        with (root / "metadata.csv").open("a") as file:
            file.write("".join(f"{name}{number}|a|a\n" for number in range(200)))
        command = ["ljspeech", "--from", str(root)]
    command += ["-o", str(tmp_path / "out")]
    done = CliRunner().invoke(data, command)
    assert "more than 1 %" in str(done.exception)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(data, [*command, "--skip-bad"])
    assert done.exit_code == 0, done.exception
    assert len(read_manifest(tmp_path / "out" / "manifest.jsonl")) == (4 if "libri" in kind else 1)


def test_a_text_that_cannot_be_read_costs_its_clip_alone(tmp_path, caplog):
    for name, text in (
        ("good", b"one"),
        ("windows", "tw\u00f6".encode("utf-16")),
        ("latin", "dr\u00e9i".encode("latin-1")),
    ):
        sound(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_bytes(text)
    sound(tmp_path / "folder.wav")
    (tmp_path / "folder.txt").mkdir()
    clips = read_manifest(import_folder(tmp_path, tmp_path / "out", 0, 0, True, False))
    assert [clip.text for clip in clips] == ["one", "tw\u00f6"]
    assert "latin.txt: not a text file in UTF-8: save it in that encoding" in caplog.text
    assert "folder.txt: cannot be read (Is a directory)" in caplog.text
    assert "skipped 2 of 4 clips" in caplog.text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_of_excel_may_have_another_delimiter_and_capitals(tmp_path, delimiter):
    sound(tmp_path / "a.wav")
    rows = [("Audio", " Text ", "SPLIT"), ("a.wav", '"one; two, three"', "Test")]
    (tmp_path / "t.csv").write_text("\n".join(map(delimiter.join, rows)))
    (clip,) = read_manifest(import_folder(tmp_path / "t.csv", tmp_path, 0, 0, True, False))
    assert (clip.text, clip.split) == ("one; two, three", "test")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_any_program_are_read(tmp_path, encoding, end):
    sound(tmp_path / "a.wav")
    rows = ["audio\ttext", "a.wav\tna\u00efve"]
    (tmp_path / "t.tsv").write_bytes((end.join(rows) + end).encode(encoding))
    manifest = import_folder(tmp_path / "t.tsv", tmp_path / "out", 0, 0, True, False)
    assert [clip.text for clip in read_manifest(manifest)] == ["na\u00efve"]


def test_a_place_that_cannot_be_written_is_named_before_the_clips_are_read(tmp_path, monkeypatch):
    sound(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr(importing, "scan_audio", None)
    with pytest.raises(InputError, match=r"a\.txt is not a folder: choose another folder"):
        import_folder(tmp_path, tmp_path / "a.txt" / "out", 0, 0, True, False)


def test_upper_case_suffixes_and_files_that_a_mac_adds(tmp_path, caplog):
    for name in ("01.WAV", "sub/02.Wav"):
        sound(tmp_path / name)
        (tmp_path / name).with_suffix(".TXT").write_text("words")
    for name in ("._01.WAV", "__MACOSX/01.WAV", ".Trash/x.wav", "sub/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "film.mp4").write_bytes(b"x")
    assert len(read_manifest(import_folder(tmp_path, tmp_path, 0, 0, True, False))) == 2
    assert "1 sound files have no .txt file beside them and are left out: film.mp4" in caplog.text
    sound(tmp_path / "a.wav")
    (tmp_path / "TABLE.TSV").write_text('audio\ttext\na.wav\tsome "words\n')
    assert (
        len(
            read_manifest(
                import_folder(tmp_path / "TABLE.TSV", tmp_path / "out", 0, 0, True, False)
            )
        )
        == 1
    )


def test_a_recording_of_a_phone_is_imported(tmp_path):
    film(tmp_path / "Recording 1.m4a", "aac", babble(1.0))
    (tmp_path / "Recording 1.txt").write_text("hello")
    (clip,) = read_manifest(import_folder(tmp_path, tmp_path, 0, 0, True, False))
    assert clip.duration == pytest.approx(1.0, abs=0.1)


def test_less_than_1_percent_of_bad_clips_are_skipped_and_named(tmp_path, caplog):
    for number in range(200):
        sound(tmp_path / f"{number}.wav", 0.05)
        (tmp_path / f"{number}.txt").write_text("yes")
    sound(tmp_path / "7.wav", 0)
    assert len(read_manifest(import_folder(tmp_path, tmp_path, 0, 0, True, False))) == 199
    assert "7.wav: holds no audio" in caplog.text
    assert "skipped 1 of 200 clips" in caplog.text


LIBRI = {"19-198-0000": "NORTHANGER ABBEY", "19-198-0001": "THE AUTHOR'S", "26-495-0000": "A THIRD"}


def test_librispeech_takes_split_from_the_subset_and_speaker_from_the_folder(tmp_path):
    make_librispeech(tmp_path / "LibriSpeech" / "train-clean-100", LIBRI)
    make_librispeech(tmp_path / "LibriSpeech" / "test-other", {"5-6-0000": "HE SPOKE"})
    clips = read_manifest(
        import_librispeech(["train-clean-100", "test-other"], tmp_path / "out", tmp_path)
    )
    assert [(clip.text, clip.split, clip.speaker) for clip in clips] == [
        ("NORTHANGER ABBEY", "train", "19"),
        ("THE AUTHOR'S", "train", "19"),
        ("A THIRD", "train", "26"),
        ("HE SPOKE", "test", "5"),
    ]


def test_librispeech_is_downloaded_and_a_second_subset_added(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    for subset in ("dev-clean-2", "test-clean"):
        make_librispeech(tmp_path / "published" / "LibriSpeech" / subset, {"1-2-0000": subset})
        content = packed("LibriSpeech", tmp_path / "published" / "LibriSpeech", "gz")
        entry = (31, len(content), hashlib.md5(content).hexdigest())
        monkeypatch.setitem(librispeech.SUBSETS, subset, entry)
        with serve(content) as server:
            subsets = ["dev-clean-2"] if subset == "dev-clean-2" else ["dev-clean-2", "test-clean"]
            manifest = import_librispeech(subsets, tmp_path / "out", mirror=server.url)
        assert len(server.ranges) == 1
    assert [clip.split for clip in read_manifest(manifest)] == ["dev", "test"]
    # The same from local archives.
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "test-clean.tar.gz").write_bytes(content)
    clips = read_manifest(import_librispeech(["test-clean"], tmp_path / "again", tmp_path / "here"))
    assert [clip.text for clip in clips] == ["test-clean"]


def test_the_command_offers_every_subset_that_has_a_checksum():
    assert set(SUBSETS) == set(librispeech.SUBSETS)
    assert all(
        len(md5) == 32 and number in (12, 31) for number, _, md5 in librispeech.SUBSETS.values()
    )
    assert {subset.split("-")[0] for subset in SUBSETS} == {"train", "dev", "test"}


def test_bad_librispeech_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"holds no LibriSpeech/dev-clean and no dev-clean\.tar\.gz"
    ):
        import_librispeech(["dev-clean"], tmp_path / "out", tmp_path)
    root = make_librispeech(tmp_path / "dev-clean", LIBRI)
    with (root / "26" / "495" / "26-495.trans.txt").open("a") as file:
        file.write("19-198-0002 IN THE WRONG CHAPTER\n")
    with pytest.raises(
        InputError, match=r"26-495\.trans\.txt:2: '19-198-0002' is not the name of a clip"
    ):
        import_librispeech(["dev-clean"], tmp_path / "out", tmp_path)


COMMON = {
    "train": [
        ("aa", "1.mp3", 'He said "no" \u2013 twice'),
        ("aa", "2.mp3", '"A quote that does not end'),
    ],
    "dev": [("bb", "3.mp3", "Caf\u00e9 \U0001f600")],
    "test": [("cc", "4.mp3", "Where?")],
}


def test_common_voice_keeps_its_splits_speakers_and_quotation_marks(tmp_path):
    root = make_commonvoice(tmp_path / "en", COMMON)
    clips = read_manifest(import_commonvoice(root, root))
    assert {
        split: [(c.speaker, c.audio.name, c.text) for c in clips if c.split == split]
        for split in COMMON
    } == COMMON
    assert all(abs(clip.duration - 0.5) < 0.1 for clip in clips)


@pytest.mark.parametrize("form", ["above", "two above", "tar.gz", "tar"])
def test_common_voice_is_found_in_folders_above_and_in_its_archive(tmp_path, form):
    root = make_commonvoice(tmp_path / "site" / "cv-corpus-22.0" / "en", COMMON)
    source = {"above": root.parent, "two above": root.parent.parent}.get(
        form, tmp_path / f"cv-corpus.{form}"
    )
    if form.startswith("tar"):
        source.write_bytes(packed("cv-corpus-22.0", root.parent, form[4:]))
    assert len(read_manifest(import_commonvoice(source, tmp_path / "out"))) == 4
    if form == "above":
        make_commonvoice(root.parent / "de", COMMON)
        with pytest.raises(InputError, match="several languages: give the folder of one of de, en"):
            import_commonvoice(source, tmp_path / "out")


def test_spontaneous_speech_of_common_voice(tmp_path):
    header = (
        "client_id\taudio_id\taudio_file\tduration_ms\tprompt\ttranscription\tsplit\tquality_tags\n"
    )
    rows = [
        ("a", "0.mp3", 'He said "no', "train"),
        ("b", "1.mp3", "yes", "dev"),
        ("c", "2.mp3", "", "test"),
        ("d", "3.mp3", "not validated", ""),
    ]
    for _, name, _, _ in rows:
        sound(tmp_path / "sps" / "audios" / name, rate=32000)
    table = header + "".join(
        f"{who}\t9\t{name}\t500\tWhat?\t{text}\t{split}\t\n" for who, name, text, split in rows
    )
    (tmp_path / "sps" / "ss-corpus-en.tsv").write_text(table)
    clips = read_manifest(import_commonvoice(tmp_path / "sps", tmp_path / "out"))
    assert [(c.speaker, c.text, c.split) for c in clips] == [
        ("a", 'He said "no', "train"),
        ("b", "yes", "dev"),
    ]


def test_bad_common_voice_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no train\.tsv, dev\.tsv or test\.tsv"):
        import_commonvoice(tmp_path, tmp_path)
    root = make_commonvoice(tmp_path / "en", COMMON)
    with (root / "dev.tsv").open("a") as file:
        file.write("dd\n")
    with pytest.raises(InputError, match=r"dev\.tsv:3: the fields do not match the header"):
        import_commonvoice(root, root)
    (root / "dev.tsv").write_text("who\twhat\n")
    with pytest.raises(
        InputError, match=r"dev\.tsv:1: no column client_id, path, sentence in the header"
    ):
        import_commonvoice(root, root)


def test_a_folder_is_read_with_the_texts_beside_the_audio(tmp_path, caplog):
    sound(tmp_path / "anna" / "a.flac", 60, 8000)
    sound(tmp_path / "anna" / "b.wav", 0.3, 44100, channels=2)
    sound(tmp_path / "ben" / "c.ogg")
    sound(tmp_path / "ben" / "without.wav")
    (tmp_path / "anna" / "a.txt").write_text("\ufeffTwo lines,\n21 words \U0001f600\n", "utf-8")
    (tmp_path / "anna" / "b.txt").write_text("b\u00e9b\u00e9")
    (tmp_path / "ben" / "c.txt").write_text("c")
    clips = read_manifest(import_folder(tmp_path, tmp_path, 0.1, 0.1, True, folder_is_speaker=True))
    assert [(clip.text, clip.speaker) for clip in clips] == [
        ("Two lines, 21 words \U0001f600", "anna"),
        ("b\u00e9b\u00e9", "anna"),
        ("c", "ben"),
    ]
    assert [clip.duration for clip in clips] == [60, 0.3, 0.5]
    assert "1 sound files have no .txt file beside them" in caplog.text
    assert len({clip.split for clip in clips if clip.speaker == "anna"}) == 1


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_table_names_audio_text_split_and_speaker(tmp_path, suffix):
    tab = "\t" if suffix == "tsv" else ","
    text = "Well, well" if suffix == "tsv" else '"Well, ""well"" "'
    rows = [
        ("speaker", "text", "audio", "split"),
        ("x", text, "sub/1.wav", "dev"),
        ("y", "no", "2.wav", "test"),
        ("z", "yes", str(tmp_path / "3.wav"), ""),
    ]
    (tmp_path / f"t.{suffix}").write_text("".join(tab.join(row) + "\n" for row in rows))
    for name in ("sub/1.wav", "2.wav", "3.wav"):
        sound(tmp_path / name)
    clips = read_manifest(
        import_folder(tmp_path / f"t.{suffix}", tmp_path / "out", 0, 0, True, False)
    )
    assert [(clip.speaker, clip.split) for clip in clips] == [
        ("x", "dev"),
        ("y", "test"),
        ("z", "train"),
    ]
    assert clips[0].text == ("Well, well" if suffix == "tsv" else 'Well, "well" ')


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("audio,words\na.wav,x\n", r"t\.csv:1: no column text in the header"),
        (
            "audio,text,split\na.wav,x,validation\n",
            r"t\.csv:2: split 'validation' is none of train, dev, test",
        ),
        ("audio,text\na.wav,x\na.wav\n", r"t\.csv:3: the fields do not match"),
        ("audio,text\na.wav,x,y\n", r"t\.csv:2: the fields do not match"),
        ('audio,text\na.wav,"x\n', r"t\.csv:\d: not a row of a table"),
        ("", r"t\.csv:1: no column audio, text"),
        ("audio,text\n", "no clip was found"),
        ("audio,text\na.wav,...\n", "no letter is left of its text"),
        ("audio,text\nb.wav,x\n", r"b\.wav: no such file"),
    ],
)
def test_a_bad_table_is_named_with_the_line(tmp_path, table, says):
    sound(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError, match=says):
        import_folder(tmp_path / "t.csv", tmp_path / "out", 0, 0, True, False)
    assert not (tmp_path / "out").exists()


def test_neither_folder_nor_table_and_impossible_shares_are_refused(tmp_path):
    with pytest.raises(InputError, match="neither a folder nor"):
        import_folder(tmp_path / "none", tmp_path, 0, 0, True, False)
    with pytest.raises(InputError, match="leave nothing to train on"):
        import_folder(tmp_path, tmp_path, 0.5, 0.5, True, False)


def test_splits_by_hash_never_change_and_keep_their_shares():
    """The first lines hold for users who have manifests already."""
    promised = {"train": (0, 3, 4, 5, 6, 7, 10), "dev": (2, 8, 9), "test": (1, 11)}
    for split, numbers in promised.items():
        assert {choose_split(f"speaker {n}", 0.1, 0.2) for n in numbers} == {split}
    drawn = [choose_split(str(n), 0.1, 0.2) for n in range(10000)]
    assert abs(drawn.count("dev") / 10000 - 0.1) < 0.01
    assert abs(drawn.count("test") / 10000 - 0.2) < 0.015


def test_clips_keep_their_split_when_others_are_added(tmp_path, caplog):
    def splits(count: int) -> dict[str, str]:
        for number in range(count):
            sound(tmp_path / "me" / f"{number}.wav", 0.05)
            (tmp_path / "me" / f"{number}.txt").write_text("yes")
        manifest = import_folder(
            tmp_path, tmp_path, 0.3, 0.3, by_speaker=False, folder_is_speaker=True
        )
        return {clip.audio.name: clip.split for clip in read_manifest(manifest)}

    few = splits(12)
    assert few.items() <= splits(30).items()
    assert set(few.values()) == {"train", "dev", "test"}
    import_folder(tmp_path, tmp_path, 0.3, 0.3, by_speaker=True, folder_is_speaker=True)
    assert "--split-by file" in caplog.text  # a single speaker cannot be in several splits


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("librispeech", "--subset", "dev-clean-2", "--mirror", "URL", "-o", "out"),
            "URL/31/dev-clean-2.tar.gz: the server answers 404 Not Found",
        ),
        (("ljspeech", "--from", "none"), "none: no such file or folder"),
        (("commonvoice", "none"), "none: holds no train.tsv"),
        (("folder", "none"), "none: neither a folder nor"),
        (("folder", "t.csv"), "t.csv:1: no column text"),
    ],
)
def test_the_commands_say_what_is_wrong_in_one_line(ds2edge, tmp_path, arguments, says):
    (tmp_path / "t.csv").write_text("audio\n")
    with serve(b"", "404") as server:
        done = ds2edge(
            "data",
            *(a.replace("URL", server.url) for a in arguments),
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "*"},
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {says.replace('URL', server.url)}")
    assert len(done.stderr.splitlines()) == 1


# Real speech, in each corpus's own layout.


@pytest.fixture
def real():
    folder = os.environ.get("DS2EDGE_SPEECH")
    if not folder:
        pytest.skip("DS2EDGE_SPEECH names no folder of real speech")

    def rows(corpus: str, count: int) -> list[dict]:
        path = Path(folder) / corpus / "manifest.jsonl"
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        lines = path.read_text("utf-8").splitlines()
        found = [json.loads(line) for line in lines[:: max(len(lines) // count, 1)]]
        return [row | {"audio": path.parent / row["audio"]} for row in found]

    return rows


def copy(row: dict, path: Path, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, read_audio(row["audio"], rate), rate)


def assert_sound(manifest: Path, rows: list[dict]) -> None:
    """Every clip is there with its duration, and `data check` finds no problem."""
    clips = read_manifest(manifest)
    assert sorted(round(clip.duration, 1) for clip in clips) == pytest.approx(
        sorted(round(row["duration"], 1) for row in rows), abs=0.15
    )
    result = check([manifest])
    assert {kind: clips for kind, clips in result.findings.items() if clips} == {}


def test_real_ljspeech_in_its_own_layout(real, tmp_path):
    rows = real("ljspeech_part", 40)
    for row in rows:
        copy(row, tmp_path / "wavs" / f"{row['audio'].stem}.wav", 22050)
    lines = [f"{row['audio'].stem}|{row['text']}|{row['text_normalized']}\n" for row in rows]
    (tmp_path / "metadata.csv").write_text("".join(lines), "utf-8")
    assert_sound(import_ljspeech(tmp_path / "out", tmp_path), rows)


def test_real_librispeech_in_its_own_layout(real, tmp_path):
    rows = real("librispeech_heldout4", 40)
    for row in rows:
        speaker, chapter, _ = row["audio"].stem.split("-")
        chapter_folder = tmp_path / "LibriSpeech" / "dev-clean" / speaker / chapter
        copy(row, chapter_folder / f"{row['audio'].stem}.flac", 16000)
        with (chapter_folder / f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{row['audio'].stem} {row['text'].upper()}\n")
    assert_sound(import_librispeech(["dev-clean"], tmp_path / "out", tmp_path), rows)


def test_real_common_voice_in_its_own_layout(real, tmp_path):
    rows = real("commonvoice_6_1_sample_en", 40)
    table = "client_id\tpath\tsentence\tup_votes\tdown_votes\n"
    for row in rows:
        copy(row, tmp_path / "clips" / f"{row['audio'].stem}.mp3", 48000)
        table += f"{row['speaker']}\t{row['audio'].stem}.mp3\t{row['text']}\t2\t0\n"
    (tmp_path / "train.tsv").write_text(table, "utf-8")
    assert_sound(import_commonvoice(tmp_path, tmp_path), rows)
