"""The notebooks run from their first cell to their last, with little data."""

import re
import sys
from pathlib import Path

import pytest
from support import MINI, install_tone_voices, untrained_run

TRAINING = Path("train/colab.ipynb").resolve()
OWN_WORDS = Path("convert/specialise/colab.ipynb").resolve()


def run_notebook(path: Path, folder: Path, settings: dict[str, str], monkeypatch) -> str:
    """Runs a notebook in `folder`, with settings in the environment. Returns what it prints."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("DS2EDGE_CACHE", str(folder / "cache"))
    for name, value in settings.items():
        monkeypatch.setenv(f"DS2EDGE_{name}", value)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(
        notebook, timeout=800, resources={"metadata": {"path": str(folder)}}
    ).execute()
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text" in output
    )
    assert not re.search(r"^error: ", printed, re.MULTILINE)  # tensorflow may say "CUDA error:"
    assert "Traceback" not in printed
    return printed


@pytest.mark.long  # it trains an epoch of the whole embedded corpus
@pytest.mark.timeout(900)
def test_the_notebook_trains_converts_compares_and_transcribes(tmp_path, monkeypatch):
    settings = {"WHEEL": "installed", "MANIFEST": str(MINI), "RECIPE": "mini", "EPOCHS": "1"}
    printed = run_notebook(TRAINING, tmp_path, settings, monkeypatch)
    for words in (
        "epoch 1 of 1",
        "WER",
        "0 float tensors inside",
        "model.tflite (int8)",
        "model.tflite: ",
    ):
        assert words in printed
    assert {"model.tflite", "run", "report"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_notebook_makes_a_model_of_own_words(tmp_path, tiny_recipe, monkeypatch):
    pytest.importorskip("hibari", reason="hibari-tts is not installed (the extra `synthesis`)")
    install_tone_voices(tmp_path / "voices", monkeypatch)
    parent = untrained_run(tiny_recipe, tmp_path / "parent")
    settings = {
        "ARCHIVE": "installed",
        "HOURS": "0.01",
        "EPOCHS": "1",
        "PARENT": str(parent.folder),
    }
    printed = run_notebook(OWN_WORDS, tmp_path, settings, monkeypatch)
    for words in ("epoch 1 of 1", "of 8 clips understood", "ds2edge deploy", "model.tflite: "):
        assert words in printed
