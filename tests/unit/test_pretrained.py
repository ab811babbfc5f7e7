"""The shipped models: they are found without a path and match their card and their recipes."""

import json
import zipfile

import pytest
from support import MINI, SPOKEN

from ds2edge.runtime import Recognizer, read_specification
from ds2edge.runtime.pretrained import LANGUAGE_MODEL, PRETRAINED
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.recipe import read_recipe
from ds2edge.train.run import PRETRAINED as RUN
from ds2edge.train.run import Run

MEGABYTE = 1_000_000


def test_it_streams_in_time_and_is_small():
    specification = read_specification(PRETRAINED)
    graph = specification.graph
    features = specification.features
    assert (graph.mode, graph.direction) == ("int8", "forward")
    latency = (graph.chunk_steps + graph.lookahead) * specification.step_seconds
    assert latency + (features.window - features.hop) / features.sample_rate <= 0.96
    assert PRETRAINED.stat().st_size <= 6 * MEGABYTE
    assert LANGUAGE_MODEL.stat().st_size <= 8 * MEGABYTE


def test_its_card_names_data_licences_and_figures():
    training = read_specification(PRETRAINED).training
    for corpus in ("librispeech", "commonvoice", "kathleen", "ljspeech", "kokoro"):
        assert corpus in training["data"]
    assert "CC BY 4.0" in training["licence"]
    assert 0 < training["dev_wer"] < 100


def test_it_transcribes_without_being_named(ds2edge):
    recognizer = Recognizer()
    heard = [recognizer.transcribe(path).text for path in SPOKEN.values()]
    assert score(list(SPOKEN), heard).cer < 50
    done = ds2edge("transcribe", *SPOKEN.values())
    assert done.returncode == 0, done.stderr
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == heard
    assert ds2edge("info").stdout.startswith("model           english")


def test_its_language_model_is_found_by_name(ds2edge):
    done = ds2edge("transcribe", "--lm", "pretrained", next(iter(SPOKEN.values())))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_32_bit_model_is_of_the_same_training():
    beside = read_specification(PRETRAINED.with_name("pretrained-armv7.tflite"))
    assert beside.graph.mode == "armv7"
    assert beside.training == read_specification(PRETRAINED).training


def test_its_run_can_be_trained_on():
    run = Run.open("pretrained")
    assert run.folder == RUN
    assert sum(path.stat().st_size for path in RUN.iterdir()) <= 40 * MEGABYTE
    with zipfile.ZipFile(run.best) as archive:
        assert "ds2edge_history.json" in archive.namelist()
    model = run.best_model()
    assert (
        model.settings
        == read_recipe("english").model
        == read_recipe("voice").model
        == run.recipe.model
    )
    assert run.recipe.features == read_recipe("english").features == read_recipe("voice").features
    assert run.symbols().alphabet == run.specification.alphabet
    assert run.recipe.text == read_recipe("english").text == read_recipe("voice").text
    assert not model.compiled  # an optimizer's state would be two thirds of the file


def test_a_folder_of_that_name_goes_before(tmp_path, monkeypatch, tiny_run):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").symlink_to(tiny_run.folder)
    assert Run.open("pretrained").recipe.name == "tiny"


@pytest.mark.slow
def test_a_voice_begins_with_it(ds2edge, tmp_path):
    """Twenty phrases of one voice of the embedded corpus, and five for dev."""
    rows = [json.loads(line) for line in MINI.read_text().splitlines()]
    rows = [row for row in rows if row["speaker"] == rows[0]["speaker"]][:25]
    for number, row in enumerate(rows):
        row |= {
            "audio": str(MINI.parent / row["audio"]),
            "split": "dev" if number % 5 == 0 else "train",
        }
    manifest = tmp_path / "voice.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = ds2edge(
        "train",
        "voice",
        manifest,
        "-o",
        tmp_path / "mine",
        "--init-from",
        "pretrained",
        "--epochs",
        8,
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "mine")
    before = ds2edge("evaluate", "-m", RUN, manifest, "--split", "dev", "--json")
    assert run.best_figures()["dev_cer"] < json.loads(before.stdout)["overall"]["cer"]
    assert run.specification.training["initialised_from"]["name"] == "english"
