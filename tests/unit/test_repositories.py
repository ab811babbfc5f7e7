"""Speech of public repositories, from bare clones."""

import json
import subprocess

import pytest
import soundfile
from click.testing import CliRunner
from support import RATE, babble, pretrained_script

repositories = pretrained_script("repositories")


@pytest.fixture
def clone(tmp_path):
    """Returns a function that makes a bare clone with the given files."""

    def make(name, files):
        work = tmp_path / "work" / name
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                soundfile.write(work / path, babble(0.5), RATE)
            else:
                (work / path).write_text(content)
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "speech"]):
            subprocess.run(["git", *arguments], cwd=work, check=True)
        bare = tmp_path / f"{name}.git"
        subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
        return bare

    return make


def run(*arguments):
    return CliRunner().invoke(repositories.main, [str(argument) for argument in arguments])


def read(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_the_clips_of_librispeech_come_with_text_and_speaker(clone, tmp_path):
    texts = "84-1-0000 GO ON\n84-1-0001 NOT IN THE REPOSITORY\n"
    bare = clone("libri", {"dev/84/1/84-1.trans.txt": texts, "dev/84/1/84-1-0000.wav": None})
    result = run("librispeech_dev_clean", bare, "-o", tmp_path / "more")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "more" / "librispeech_dev_clean"
    assert read(folder) == [
        {"audio": "audio/84-1-0000.wav", "split": "train", "text": "GO ON", "speaker": "84"}
    ]
    assert soundfile.info(folder / "audio/84-1-0000.wav").duration == 0.5


def test_the_validated_clips_of_several_releases_become_one_corpus(clone, tmp_path):
    bare = []
    for number in (1, 2):
        table = f'client_id\tpath\tsentence\n{"c" * 20}\tclip{number}.mp3\tSay "{number}\n'
        files = {"en/validated.tsv": table, f"en/validated_clips/clip{number}.mp3": None}
        bare.append(clone(f"release{number}", files))
    result = run("commonvoice_deltas", *bare, "-o", tmp_path / "more")
    assert result.exit_code == 0, result.output
    rows = read(tmp_path / "more" / "commonvoice_deltas")
    assert [row["text"] for row in rows] == ['Say "1', 'Say "2']
    assert {row["speaker"] for row in rows} == {"c" * 16}


def test_a_folder_without_the_corpus_is_one_line(clone, tmp_path):
    bare = clone("other", {"README.md": "nothing"})
    result = run("commonvoice_deltas", bare, "-o", tmp_path / "more")
    assert result.exit_code == 2
    assert "other.git: holds no clip of commonvoice_deltas" in result.output
    result = run("commonvoice_deltas", tmp_path / "absent", "-o", tmp_path / "more")
    assert result.exit_code == 2
    assert "absent: not a bare clone: " in result.output
    assert not (tmp_path / "more" / "commonvoice_deltas" / "manifest.jsonl").exists()
