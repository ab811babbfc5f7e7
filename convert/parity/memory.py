"""Memory that a model takes on a device: measured in a fresh process that imports the runtime alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import read_specification


def peak_memory(model: Path, clip: Path) -> float | None:
    """Megabytes that loading `model` and transcribing `clip` add to the peak of a process that has done all else.

    None where the system does not say. QualityCheckFailed if the process dies.
    """
    command = [sys.executable, "-m", "ds2edge.convert.parity.memory", str(model), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise QualityCheckFailed(f"{model}: it cannot be run in a process of its own ({reason})")
    megabytes: float | None = json.loads(done.stdout)
    return megabytes


def _measure(model: Path, clip: Path) -> float | None:
    find_interpreter()  # libraries count before the model does: the interpreter, decoding and resampling of sound
    audio, resampler = AudioFile(clip), Resampler(read_specification(model).features.sample_rate)
    for block in audio.blocks():
        resampler.accept(block, audio.rate)
    before = _peak()
    Recognizer(model).transcribe(clip)
    after = _peak()
    return None if before is None or after is None else round(after - before, 2)


def _peak() -> float | None:
    # Not ru_maxrss: it begins with what the parent held when it forked, and that has tensorflow in it.
    status = Path("/proc/self/status")
    found = re.search(
        r"^VmHWM:\s+(\d+) kB", status.read_text() if status.exists() else "", re.MULTILINE
    )
    return int(found[1]) * 1024 / 1e6 if found else None


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), Path(sys.argv[2]))))
