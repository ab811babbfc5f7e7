"""Output that cannot be written is refused in one line, before any input is read."""

import subprocess
import sys

from support import GOLDEN

# The input does not exist, so a command that reads it first names it instead of the output.
FILES = {
    f"transcribe none.wav -m {GOLDEN} -o": "",
    "lm build none.txt -o": ".ds2lm",
    "lm convert none.arpa -o": ".ds2lm",
    "convert none --mode float32 -o": ".tflite",
    "phrases compile none.yaml -o": ".ds2ph",
    "data check none.jsonl --plot": ".png",
}
FOLDERS = (
    f"transcribe none.wav none.flac --format srt -m {GOLDEN} -o",
    "evaluate none.jsonl -o",
    "synthesise none.txt -o",
)
RUN = """
import sys
from ds2edge.runtime.cli import main
for line in sys.stdin.read().splitlines():
    try: main(line.split())
    except SystemExit as end: print(end.code)
"""


def test_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    lines = []
    for command, suffix in FILES.items():
        (tmp_path / f"folder{suffix}").mkdir(exist_ok=True)
        lines += [f"{command} {place}{suffix}" for place in ("folder", "file/x", "/proc/none/x")]
    lines += [f"{command} {place}" for command in FOLDERS for place in ("file", "/proc/none/x")]
    lines += [f"lm build none.txt -o {path}" for path in ("/dev/null", "/dev/stdout")]
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    messages = done.stderr.splitlines()
    assert len(messages) == len(lines), done.stderr
    for line, message in zip(lines, messages, strict=True):
        place = line.split()[-1].partition("/x")[0]
        assert message.startswith(f"error: {place}"), (line, message)
    assert done.stdout.split() == ["2"] * len(lines)
    assert sorted(tmp_path.rglob("*")) == before
