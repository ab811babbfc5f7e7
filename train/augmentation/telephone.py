"""The telephone: what is left of speech after a line of 300 to 3400 Hz and a narrow-band codec."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
import soxr

from ds2edge.runtime.features import Samples

RATE = 8000  # Hz
BAND = (300, 3400)  # Hz, that of ITU-T G.712
CODECS = (
    "ULAW",
    "ALAW",
    "GSM610",
)  # libsndfile's names: G.711 of landlines (two laws), GSM full rate of mobiles


def telephone(samples: Samples, rate: int, codec: str) -> Samples:
    """float32 [n] at `rate` Hz -> [n], through a line and one of `CODECS`; beyond -1..1 it is clipped."""
    from scipy.signal import sosfilt  # here, since it takes half a second to import

    line = sosfilt(_band_filter(), soxr.resample(samples, rate, RATE)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, line, RATE, format="WAV", subtype=codec)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    heard = soxr.resample(decoded, RATE, rate)[: len(samples)]  # GSM fills up its last block
    return np.pad(heard, (0, len(samples) - len(heard)))


@lru_cache(maxsize=1)
def _band_filter() -> Any:
    from scipy.signal import butter

    return butter(4, BAND, "bandpass", fs=RATE, output="sos")
