"""The recogniser in JavaScript: its core in Node, and the page in Chromium."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from support import GOLDEN, RATE, SPOKEN

from ds2edge.runtime import Phrases, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.phrases.embedded import embed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WEB = Path("devices/web").resolve()
HOUSE = Path("tests/golden/vectors/house.ds2ph").resolve()


@pytest.fixture(scope="module")
def packages():
    """Installs the packages that the tests in JavaScript need."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no node and npm")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=WEB,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install the packages: {done.stderr[-200:]}")


def node_tests(*files, **environment):
    """Runs tests in Node. Fails with their report."""
    done = subprocess.run(
        ["node", "--test", *files],
        cwd=WEB,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_the_core_agrees_with_the_golden_vectors(packages):
    report = node_tests("tests/core.test.js", "tests/phrases.test.js")
    assert "# skipped 0" in report


def test_long_recordings_take_constant_memory(packages):
    node_tests("tests/memory.test.js")


def test_the_types_fit(packages):
    done = subprocess.run(
        ["npx", "tsc", "--noEmit"], cwd=WEB, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def address(tmp_path, ds2edge):
    """Address of a page with the bundled model, which `ds2edge web` serves."""
    command = [str(Path(sys.executable).with_name("ds2edge")), "web", "-o", str(tmp_path / "page")]
    written = ds2edge(*command[1:])
    if "cannot be downloaded" in written.stderr:
        pytest.skip(written.stderr)
    assert written.returncode == 0, written.stderr
    with subprocess.Popen(
        [*command, "--serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield next(line for line in server.stdout if line.startswith("http")).split()[0]
        finally:
            server.terminate()


def test_the_page_hears_what_python_hears(packages, address, tmp_path):
    """The bundled model has pieces and quasi-recurrent layers, the golden one letters and GRUs."""
    if not shutil.which("chromium"):
        pytest.skip("no chromium")
    bundled, golden = Recognizer(), Recognizer(GOLDEN)
    files = []
    for i, clip in enumerate(SPOKEN.values()):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, read_audio(clip, RATE), RATE, subtype="PCM_16")
        texts = [[each.text for each in model.utterances(path)] for model in (bundled, golden)]
        assert all(texts)
        files.append([str(path), *texts])
    meant = Recognizer(GOLDEN, phrases=HOUSE).transcribe(files[0][0])
    embed(GOLDEN, Phrases.load(HOUSE), tmp_path / "house.tflite")
    # The browser resamples the microphone and begins anywhere. This clip keeps its text then.
    robust = "seven one two five"
    sound = read_audio(SPOKEN[robust], RATE)
    pause = np.zeros(3 * RATE, np.float32)  # the fake microphone loses its beginning
    microphone = tmp_path / "microphone.wav"
    spoken = soxr.resample(np.concatenate([pause, sound, pause, pause]), RATE, 48000)
    soundfile.write(microphone, spoken, 48000)
    expected = {
        "files": files,
        "golden": str(GOLDEN),
        "phrases": str(HOUSE),
        "house": str(tmp_path / "house.tflite"),
        "phrase": {
            "text": meant.text,
            "intent": meant.meaning.intent,
            "slots": meant.meaning.slots,
        },
        "microphone": str(microphone),
        "spoken": [robust],
    }
    (tmp_path / "clips.json").write_text(json.dumps(expected))
    report = node_tests(
        "tests/page.test.js", DS2EDGE_PAGE=address, DS2EDGE_CLIPS=str(tmp_path / "clips.json")
    )
    assert "# skipped 0" in report
