"""Memory that a model takes on a device, measured in a new process without tensorflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.engine import find_interpreter
from ds2edge.runtime.errors import QualityCheckFailed
from ds2edge.runtime.memory import peak_memory
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import read_specification


def model_memory(model: Path, clip: Path) -> float | None:
    """Megabytes that loading `model` and transcribing `clip` add to the peak memory of a process.

    The process has loaded the libraries and read the clip before. None outside Linux.
    QualityCheckFailed if the process crashes.
    """
    command = [sys.executable, "-m", "ds2edge.convert.parity.memory", str(model), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise QualityCheckFailed(f"{model}: it cannot be run in a process of its own ({reason})")
    megabytes: float | None = json.loads(done.stdout)
    return megabytes


def _measure(model: Path, clip: Path) -> float | None:
    # The interpreter, the audio decoder and the resampler count before the model does.
    find_interpreter()
    audio = AudioFile(clip)
    resampler = Resampler(read_specification(model).features.sample_rate)
    for block in audio.blocks():
        resampler.accept(block, audio.rate)
    before = peak_memory()
    Recognizer(model, phrases="none").transcribe(clip)
    after = peak_memory()
    return None if before is None or after is None else round(after - before, 2)


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), Path(sys.argv[2]))))
