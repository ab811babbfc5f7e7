"""A telephone line: a band of 300 to 3400 Hz and a narrow-band codec."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
import soxr

from ds2edge.runtime.features import Samples

RATE = 8000  # Hz
BAND = (300, 3400)  # Hz (ITU-T G.712)
# libsndfile's names of G.711 mu-law and A-law, of landlines, and GSM full rate, of mobile phones.
CODECS = ("ULAW", "ALAW", "GSM610")


def telephone(samples: Samples, rate: int, codec: str) -> Samples:
    """Sends samples, float32 [n] at `rate` Hz, over a line with one of `CODECS` -> [n].

    Samples outside of -1..1 are clipped.
    """
    from scipy.signal import sosfilt  # imported here, since that takes half a second

    line = sosfilt(_band_filter(), soxr.resample(samples, rate, RATE)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, line, RATE, format="WAV", subtype=codec)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    received = soxr.resample(decoded, RATE, rate)[: len(samples)]  # GSM fills up its last block
    return np.pad(received, (0, len(samples) - len(received)))


@lru_cache(maxsize=1)
def _band_filter() -> Any:
    from scipy.signal import butter

    return butter(4, BAND, "bandpass", fs=RATE, output="sos")
