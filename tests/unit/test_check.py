"""`ds2edge data check`: it finds each problem, and none in clips without one."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support import MINI, babble

from ds2edge.train.data.check import Finding, check
from ds2edge.train.data.check_report import lines, plot


@pytest.fixture
def corpus(tmp_path):
    """A function that writes a manifest of 30 faultless clips and given rows; returns its path.

    A row's `sound` is written as its audio, at its `rate`.
    """

    def write(*rows: dict) -> object:
        faultless = [
            {
                "audio": f"{n}.wav",
                "text": f"clip number {n}",
                "split": "train",
                "speaker": f"s{n % 5}",
            }
            for n in range(30)
        ]
        listed = []
        for number, row in enumerate([*faultless, *rows]):
            sound = row.pop("sound", babble(1.0, seed=number))
            rate = row.pop("rate", 16000)
            if sound is not None:
                soundfile.write(tmp_path / row["audio"], sound, rate)
            given = {
                "audio": f"{number}.wav",
                "text": "some words here",
                "split": "train",
                "duration": 1.0,
            }
            listed.append(given | row)
        (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))
        return tmp_path / "m.jsonl"

    return write


def problems(result) -> dict[Finding, int]:
    return {kind: len(clips) for kind, clips in result.findings.items() if clips}


def test_faultless_clips_have_no_findings(corpus):
    result = check([corpus()])
    assert problems(result) == {}
    assert result.errors == 0
    assert list(lines(result))[-1] == "no problems found"


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        ({"sound": None}, Finding.UNREADABLE, "no such file"),
        ({"sound": np.zeros(0)}, Finding.UNREADABLE, "holds no audio"),
        ({"text": ""}, Finding.NO_LETTERS, "x.wav: ''"),
        ({"text": "\U0001f600 ..."}, Finding.NO_LETTERS, "x.wav"),
        ({"sound": babble(1.0, seed=3), "split": "dev"}, Finding.LEAKED, "x.wav (dev): "),
        ({"sound": babble(1.0, seed=3)}, Finding.REPEATED, "x.wav (train): "),
        ({"duration": 1.5}, Finding.WRONG_DURATION, "1.5 s in the manifest, 1.00 s in the file"),
        ({"sound": np.zeros(16000)}, Finding.SILENT, "-120 dBFS"),
        (
            {"sound": np.stack([babble(1.0, seed=98), -babble(1.0, seed=98)], 1)},
            Finding.CANCELLED,
            "x.wav",
        ),
        ({"sound": 12 * babble(1.0, seed=99)}, Finding.CLIPPED, "%"),
        (
            {"text": "many more words than can be said in a second " * 3},
            Finding.TOO_MANY_LETTERS,
            "134 in 1.00 s",
        ),
        ({"sound": babble(60.0, seed=9), "duration": 60.0}, Finding.UNUSUAL_RATE, "0.2 letters/s"),
        ({"text": "CLIP number 7!", "split": "test"}, Finding.SHARED_TEXT, "x.wav (test)"),
    ],
)
def test_a_problem_is_found_once_and_named(corpus, row, kind, says):
    result = check([corpus({"audio": "x.wav"} | row)])
    assert problems(result) == {kind: 1}
    assert says in result.findings[kind][0]
    assert "x.wav" in result.findings[kind][0]
    assert result.errors == kind.is_error


def test_a_truncated_sound_file_is_found_without_a_warning(corpus, tmp_path, capfd):
    manifest = corpus({"audio": "x.wav"}, {"audio": "y.wav"})
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:16000])
    (tmp_path / "y.wav").write_bytes(b"these are words")
    result = check([manifest])
    assert problems(result) == {Finding.UNREADABLE: 1, Finding.CUT_SHORT: 1}
    assert "x.wav: the file is cut short" in result.findings[Finding.CUT_SHORT][0]
    assert not capfd.readouterr().err


def test_rates_channels_and_dropped_characters_are_counted_with_an_example(corpus):
    result = check(
        [
            corpus(
                {
                    "audio": "x.wav",
                    "rate": 8000,
                    "sound": babble(1.0, 8000),
                    "text": "a caf\u00e9 for \u00a73 \U0001f600",
                },
                {
                    "audio": "y.wav",
                    "rate": 48000,
                    "sound": np.stack([babble(1.0, 48000)] * 2, 1),
                    "text": "5 \u00a7",
                },
            )
        ]
    )
    assert result.forms == {"16000 Hz mono": 30, "8000 Hz mono": 1, "48000 Hz stereo": 1}
    assert result.dropped == {
        "\u00a7": 2,
        "\U0001f600": 1,
    }  # letters lose accents, digits become words
    report = list(lines(result))
    assert "audio   16000 Hz mono (30), 8000 Hz mono (1), 48000 Hz stereo (1)" in report
    assert [line for line in report if "\u00a7 U+00A7" in line and "for \u00a73" in line]


def test_several_manifests_are_checked_as_one(corpus, tmp_path):
    first = corpus()
    again = tmp_path / "again.jsonl"
    again.write_text(first.read_text().replace("train", "dev"))
    assert problems(check([first, again])) == {Finding.LEAKED: 30, Finding.SHARED_TEXT: 30}


def test_the_command_prints_plots_and_exits_with_1_for_unusable_clips(ds2edge, corpus, tmp_path):
    good = corpus()
    done = ds2edge("data", "check", good, "--plot", tmp_path / "p.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == [
        "train",
        "30",
        "0.01",
        "5",
        "1.00",
        "1.00",
        "1.00",
    ]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    bad = corpus(*({"audio": f"none{n}.wav", "sound": None} for n in range(8)))
    done = ds2edge("data", "check", bad)
    assert (done.returncode, done.stderr) == (1, "error: 8 clips cannot be used as they are\n")
    assert "error: cannot be read: 8\n" in done.stdout
    assert "none4.wav" in done.stdout
    assert "none5.wav" not in done.stdout
    assert "    and 3 more: --all names them\n" in done.stdout
    assert "none7.wav" in ds2edge("data", "check", bad, "--all").stdout
    inside_a_file = tmp_path / "p.png" / "q.png"
    unwritable = ds2edge("data", "check", good, "--plot", inside_a_file)
    assert unwritable.returncode == 2
    assert unwritable.stderr.startswith(f"error: {tmp_path / 'p.png'}: cannot be written")


def test_a_plot_without_readable_clips_is_empty(tmp_path, corpus):
    (tmp_path / "m.jsonl").write_text(
        '{"audio": "a.wav", "text": "a", "duration": 1, "split": "dev"}\n'
    )
    result = check([tmp_path / "m.jsonl"])
    assert problems(result) == {Finding.UNREADABLE: 1}
    plot(result, tmp_path / "p.svg")
    assert "audio   none" in list(lines(result))


def test_the_embedded_corpus_is_fit_to_train_on():
    result = check([MINI])
    assert set(problems(result)) <= {Finding.SHARED_TEXT}  # few phrases, many voices
    assert sum(map(len, result.durations.values())) == 793
    assert list(result.findings) == list(Finding)


@pytest.mark.slow
def test_a_manifest_of_100000_lines_is_read_in_seconds_and_little_memory(tmp_path):
    row = {
        "audio": "a/clip.flac",
        "text": "and so it went on for a while",
        "duration": 3.2,
        "split": "train",
        "speaker": "x",
    }
    (tmp_path / "m.jsonl").write_text((json.dumps(row) + "\n") * 100_000)
    code = (
        "import resource, sys, time; from ds2edge.train.data.manifest import read_manifest\n"
        "def memory(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, start = memory(), time.process_time()\n"
        "assert len(read_manifest(sys.argv[1])) == 100000\n"
        "print(time.process_time() - start, memory() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "m.jsonl"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 10
    assert megabytes < 250
