"""Voices that are programs: they write a WAV file to standard output."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence

import soundfile
import soxr

from ds2edge.runtime.features import Samples
from ds2edge.train.synthesis.voice import RATE

TIMEOUT = 60  # seconds for one sentence


def run_program(command: Sequence[str], factor: float) -> Samples:
    """Samples at `RATE` of what the program says.

    All frequencies are multiplied by `factor`, and the duration is divided by it: above 1 is a
    shorter vocal tract and a higher pitch. ValueError if the program fails or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=TIMEOUT,
        )
        samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    except (OSError, subprocess.SubprocessError, soundfile.LibsndfileError) as error:
        raise ValueError(f"{command[0]} fails: {error}") from None
    moved: Samples = soxr.resample(samples, rate * factor, RATE)
    return moved
