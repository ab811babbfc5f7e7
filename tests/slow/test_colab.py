"""The notebook runs from its first cell to its last, on the embedded corpus instead of LJSpeech."""

import sys
from pathlib import Path

import pytest
from support import MINI

pytestmark = pytest.mark.long  # it trains an epoch of the whole embedded corpus

NOTEBOOK = Path("train/colab.ipynb").resolve()


@pytest.mark.timeout(900)
def test_the_notebook_trains_converts_compares_and_transcribes(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    settings = {"WHEEL": "installed", "MANIFEST": str(MINI), "RECIPE": "mini", "EPOCHS": "1"}
    monkeypatch.setenv("DS2EDGE_CACHE", str(tmp_path / "cache"))
    for name, value in settings.items():
        monkeypatch.setenv(f"DS2EDGE_{name}", value)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(
        notebook, timeout=800, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text" in output
    )
    assert "error:" not in printed
    assert "Traceback" not in printed
    for words in (
        "epoch 1 of 1",
        "WER",
        "0 float tensors inside",
        "model.tflite (int8)",
        "model.tflite: ",
    ):
        assert words in printed
    assert {"model.tflite", "run", "report"} <= {path.name for path in tmp_path.iterdir()}
