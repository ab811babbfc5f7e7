"""`ds2edge synthesise` as a whole program: Ctrl-C ends all its processes, and it continues."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ds2edge.train.data.manifest import read_manifest
from ds2edge.train.synthesis.voices import installed_voices

pytestmark = pytest.mark.slow
WANTED = 40  # clips


def is_alive(group):
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interrupted_job_ends_in_one_line_and_continues(tmp_path):
    if not any(voice.name.startswith("flite") for voice in installed_voices()):
        pytest.skip("flite is not installed: apt-get install flite")
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"This is sentence {n}.\n" for n in range(WANTED)))
    manifest = tmp_path / "out" / "manifest.jsonl"
    # A shell's job in the background ignores SIGINT, and so would this process.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from ds2edge.runtime.cli import main; main()"
    command = [sys.executable, "-c", program, "synthesise", texts, "-o", manifest.parent]
    command += ["--voice", "flite"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        while not (manifest.exists() and manifest.read_bytes().count(b"\n") > 5):
            assert job.poll() is None, job.stderr.read()
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGINT)  # as a terminal does
        _, errors = job.communicate(timeout=60)
    assert (job.returncode, errors) == (130, "error: interrupted\n")
    deadline = time.monotonic() + 60
    while is_alive(job.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(job.pid)
    made = manifest.read_text()
    assert made.count("\n") < WANTED
    subprocess.run(command, check=True, capture_output=True)
    assert manifest.read_text().startswith(made)
    assert len(read_manifest(manifest)) == WANTED
