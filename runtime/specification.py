"""What a device must know of a model beside its weights; kept as JSON inside the .tflite file itself."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.runtime.records import from_dict

MEMBER = "ds2edge.json"  # name inside the zip that follows the flatbuffer (TFLite metadata: associated files)
LONGEST = 1 << 22  # bytes of a specification: those of `ds2edge convert` have a hundredth of that
FORMAT = 1


@dataclass(frozen=True)
class State:
    """A float32 tensor that a stream carries from chunk to chunk, zero at first."""

    name: str
    shape: tuple[int, ...]
    part: str = "step"  # the signature that takes it

    @property
    def output(self) -> str:
        """Name of the graph's output that becomes this input of the next chunk."""
        return f"{self.name}_next"


@dataclass(frozen=True)
class Graph:
    """What the file computes, a chunk at a time.

    A model that streams has one signature, `step`: `features` [1, chunk_frames, bins] and states in, `logits`
    [1, chunk_steps, symbols] and next states out. A bidirectional one comes in parts, each with states of its own and
    one `input` and `output`, whose rows are steps: `convolutions` ([chunk_frames, bins] in), each of `layers` and its
    `_backward`, and `output`.
    """

    mode: str  # float32, float16, dynamic, int8 or armv7 (int8 for the interpreter of 32-bit Arm)
    chunk_steps: int
    time_stride: int  # feature frames per output step
    warmup: int  # steps of silence to hear before the first sample, whose outputs are dropped
    lookahead: int  # steps by which outputs come late: so many more are dropped, so much silence follows the end
    states: tuple[State, ...]
    calibration_clips: int = 0  # that the int8 ranges were chosen by
    shares_weights: bool = (
        False  # whether all operations with the same weights have the same scales: see engine.py
    )
    layers: tuple[
        str, ...
    ] = ()  # recurrent, of a bidirectional model: what both ways say is added up

    @property
    def chunk_frames(self) -> int:
        """Feature frames per run of the graph."""
        return self.chunk_steps * self.time_stride

    @property
    def direction(self) -> str:
        """Of the recurrences: forward, which streams, or bidirectional, which needs whole clips."""
        return "bidirectional" if self.layers else "forward"


@dataclass(frozen=True)
class Specification:
    """All that `ds2edge` needs to run a model, and what its user should know of it."""

    name: str
    alphabet: tuple[str, ...]  # symbol of each logit; the blank, at index 0, is ""
    features: FeatureSettings
    mean: tuple[float, ...]  # dB per bin, of the training set
    # Standard deviation of the same. Files name it `deviation`, as they always have.
    std: tuple[float, ...] = field(metadata={"formerly": "deviation"})
    graph: Graph | None = None  # None: a trained model that is not yet converted
    training: dict[str, Any] = field(
        default_factory=dict
    )  # data, licence, hours, epochs, WER: for people
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise ValueError(
                f"specification format {self.format} is newer than this ds2edge: upgrade it"
            )
        if not self.alphabet or self.alphabet[0] != "":
            raise ValueError("the alphabet must begin with the blank ''")
        if not len(self.mean) == len(self.std) == self.features.bins:
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for {self.features.bins} bins"
            )

    @property
    def step_seconds(self) -> float:
        """Audio per output step. ValueError for a specification without a graph."""
        if self.graph is None:
            raise ValueError(f"{self.name} is not converted: it has no steps yet")
        return self.graph.time_stride * self.features.hop / self.features.sample_rate

    def front_end(self) -> Features:
        """The features of this model, with nothing heard yet."""
        return Features(self.features, self.mean, self.std)

    def require_streaming(self, path: str | os.PathLike[str]) -> None:
        """InputError (opened by `path`) for a bidirectional model, which says nothing before the end of a clip."""
        if self.graph and self.graph.layers:
            raise InputError(
                f"{path}: a bidirectional model hears whole clips, nothing live: use `ds2edge transcribe`, "
                'or train and convert one of direction "forward"'
            )

    def to_json(self) -> str:
        """JSON text, readable and in a fixed order."""
        names = {"std": "deviation"}
        values = {names.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        return json.dumps(values, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Specification:
        """The inverse of `to_json`; InputError (opened by `where`) for anything else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: the specification is not JSON ({error})") from None
        return from_dict(cls, values, where)


def silence_after(samples: int, features: FeatureSettings, time_stride: int, lookahead: int) -> int:
    """Zeros to append to a clip so that the network has said all of it.

    As many as make whole output steps of all the audio (at least one) and then the `lookahead` steps of delay. Training
    appends them to its clips, a stream when it finishes: that is why the two agree to the end.
    """
    heard = 1 + max(
        0, -(-(samples - features.window) // features.hop)
    )  # frames that reach the last sample
    steps = -(-heard // time_stride) + lookahead
    return (steps * time_stride - 1) * features.hop + features.window - samples


def read_specification(path: str | os.PathLike[str]) -> Specification:
    """Specification inside a .tflite file. InputError if there is no such file or none inside."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as member:
            text = member.read(LONGEST + 1)
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, EOFError, RuntimeError, ValueError):
        raise InputError(
            f"{path}: no ds2edge specification inside: the file is cut short or was not made by `ds2edge convert`"
        ) from None
    if len(text) > LONGEST:
        raise InputError(
            f"{path}: the specification inside is larger than any of `ds2edge convert`"
        )
    return Specification.from_json(text, str(path))


def attach_specification(path: str | os.PathLike[str], specification: Specification) -> None:
    """Appends the specification to a bare .tflite file, as a zip: the interpreter reads only what stands before it."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), specification.to_json(), zipfile.ZIP_DEFLATED)
