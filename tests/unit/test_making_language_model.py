"""The scripts that make the pretrained language model from a transducer and transcripts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import probability

from ds2edge.train.language_model.arpa import read_arpa

SCRIPTS = Path(__file__).parents[2] / "train" / "pretrained"

# Output of fstprint for a 2-gram. An arc has the states from and to, the words in and out, and the
# cost in nats. A final state has a cost.
TRANSDUCER = """\
1\t0\t<eps>\t<eps>\t0.5
1\t2\tthe\tthe\t0.25
0\t2\tthe\tthe\t1.0
0\t3\tlight\tlight\t2.0
0\t0\tKöln\tKöln\t3.0
0\t1.5
2\t0\t<eps>\t<eps>\t0.75
2\t3\tlight\tlight
3\t0\t<eps>\t<eps>
3\t0.125
"""


def run(script: str, *arguments: Path, stdin: str = "") -> str:
    command = [sys.executable, SCRIPTS / script, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


def test_a_transducer_becomes_an_arpa_file(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(run("fst_to_arpa.py", stdin=TRANSDUCER))
    model = read_arpa(path)
    assert model.vocabulary == ["<unk>", "<s>", "</s>", "light", "the"]
    assert model.ngram_counts == [5, 3]
    costs = {
        "the": 1.0,
        "<s> the": 0.25,
        "the light": 0.0,
        "light </s>": 0.125,
        "<s> light": 2.5,
        "the </s>": 2.25,
    }
    for words, cost in costs.items():
        assert probability(model, *words.split()) == pytest.approx(2.718281828**-cost, rel=1e-3)


def test_transcripts_share_no_six_words_with_what_is_held_out(tmp_path):
    texts = {
        "yes": "train",
        "no": "test",
        "no no": "train",
        "one two three four five six seven": "test",
        "zero one two three four five six": "train",
        "one two three four five": "train",
    }
    path = tmp_path / "manifest.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "split": split}) + "\n" for text, split in texts.items())
    )
    assert run("transcripts.py", path).splitlines() == ["no no", "one two three four five", "yes"]
