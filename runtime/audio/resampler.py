"""Converts a stream of sound to mono at one sample rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ds2edge.runtime.audio.channels import StreamMixer
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples


class Resampler:
    """A stream of sound as mono float32 at one rate.

    The result does not depend on how the stream is split into calls.
    """

    def __init__(self, rate: int) -> None:
        """`rate`: sample rate of the output in Hz."""
        self.rate = rate
        self._input_rate: int | None = None
        self._mixer: StreamMixer | None = None
        self._stream: Any = None  # soxr.ResampleStream if the rates differ

    def accept(self, samples: npt.NDArray[np.generic], rate: int) -> Samples:
        """Takes samples at `rate` Hz, as `to_float` does, and returns float32 [m] at `self.rate`.

        A new input rate (another microphone, say) starts a new stream after the old one. Raises
        InputError if the rates differ and soxr is not installed: it has no wheel for 32-bit Arm.
        """
        rest = np.zeros(0, np.float32)
        if rate != self._input_rate or self._mixer is None:
            rest = self.finish()
            self._input_rate = rate
            self._mixer = StreamMixer(rate)
            self._stream = None if rate == self.rate else _resample_stream(rate, self.rate)
        mono = self._mixer.accept(samples)
        resampled = mono if self._stream is None else self._stream.resample_chunk(mono)
        return np.concatenate([rest, resampled]) if len(rest) else resampled

    def finish(self) -> Samples:
        """Ends the stream and returns the samples that its filter still holds."""
        rest = self._mixer.finish() if self._mixer else np.zeros(0, np.float32)
        if self._stream is not None:
            rest = self._stream.resample_chunk(rest, last=True)
        self._input_rate = None
        self._mixer = None
        self._stream = None
        return rest


def _resample_stream(input_rate: int, output_rate: int) -> Any:
    try:
        import soxr  # not at the top: 32-bit Arm has no wheel of it
    except ModuleNotFoundError:
        raise InputError(
            f"converting sound from {input_rate} Hz to {output_rate} Hz needs the package soxr: "
            f"pip install soxr, or give sound at {output_rate} Hz"
        ) from None
    return soxr.ResampleStream(input_rate, output_rate, 1, dtype="float32")
