"""What the runtime must know about a model beside its weights: JSON inside the .tflite file."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Features, FeatureSettings, Padding
from ds2edge.runtime.model_file import append_specification, read_specification_text
from ds2edge.runtime.records import from_dict

FORMAT = 1
MAX_CHUNK_STEPS = 256  # output steps in one run of a converted graph
# The signature of a streaming model, and the parts of a bidirectional one.
STEP = "step"
CONVOLUTIONS = "convolutions"
OUTPUT = "output"
BACKWARD = "_backward"  # what the name of a layer's backward direction ends in


@dataclass(frozen=True)
class State:
    """A float32 tensor that a stream carries from chunk to chunk. It begins as zeros."""

    name: str
    shape: tuple[int, ...]
    part: str = STEP  # the signature that takes it

    @property
    def output(self) -> str:
        """Name of the output that holds the state after the chunk."""
        return f"{self.name}_next"


@dataclass(frozen=True)
class Graph:
    """What the file computes, one chunk at a time.

    A streaming model has one signature, `step`. It takes `features` [1, chunk_frames, bins] and
    the states, and returns `logits` [1, chunk_steps, symbols] and the next states.

    A bidirectional model has several signatures, or parts: `convolutions`, each of `layers` and its
    `_backward`, and `output`. Each part has its own states, one `input` and one `output`, both
    [chunk_steps, values]; the input of `convolutions` is [chunk_frames, bins].
    """

    mode: str  # float32, float16, dynamic, int8 or armv7 (int8 for the interpreter of 32-bit Arm)
    chunk_steps: int
    time_stride: int  # feature frames per output step
    warmup: int  # steps of silence to feed before the first sample; their outputs are dropped
    # Output delay in steps: as many more initial outputs are dropped, and as many steps of silence
    # are fed after the last sample.
    lookahead: int
    states: tuple[State, ...]
    calibration_clips: int = 0  # number of clips that the int8 ranges were measured on
    # Whether operations that share weights also share their scales: see engine.py.
    shares_weights: bool = False
    # Steps that attention sees as a whole: the padded stream has a multiple of this many.
    attention_chunk: int = 1
    # Recurrent layers of a bidirectional model; the outputs of both directions are added.
    layers: tuple[str, ...] = ()

    @property
    def chunk_frames(self) -> int:
        """Feature frames per run of the graph."""
        return self.chunk_steps * self.time_stride

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the graphs in the file."""
        if not self.layers:
            return (STEP,)
        directions = [name for layer in self.layers for name in (layer, layer + BACKWARD)]
        return (CONVOLUTIONS, *directions, OUTPUT)

    @property
    def padding(self) -> Padding:
        """The silence that the network needs around a clip."""
        return Padding(self.warmup, self.time_stride, self.lookahead, self.attention_chunk)

    @property
    def direction(self) -> str:
        """`forward` for a streaming model, `bidirectional` for one that needs whole clips."""
        return "bidirectional" if self.layers else "forward"


@dataclass(frozen=True)
class Specification:
    """Everything that `ds2edge` needs to run a model, and the facts that its users should know."""

    name: str
    alphabet: tuple[str, ...]  # symbol of each logit; the blank, at index 0, is ""
    features: FeatureSettings
    mean: tuple[float, ...]  # of the training set, in dB per bin
    # Standard deviation of the training set, in dB per bin. In files its key is `deviation`.
    std: tuple[float, ...] = field(metadata={"formerly": "deviation"})
    graph: Graph | None = None  # None: a trained model that is not converted yet
    # Facts for people: data, licence, hours, epochs, word error rate.
    training: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise ValueError(
                f"specification format {self.format} is newer than this ds2edge: upgrade it"
            )
        if not self.alphabet or self.alphabet[0] != "":
            raise ValueError("the alphabet must begin with the blank ''")
        bins = self.features.bins
        if not len(self.mean) == len(self.std) == bins:
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for {bins} bins"
            )

    @property
    def step_seconds(self) -> float:
        """Seconds of audio per output step. ValueError for a specification without a graph."""
        if self.graph is None:
            raise ValueError(f"{self.name} is not converted: it has no steps yet")
        return self.features.step_seconds(self.graph.time_stride)

    def front_end(self) -> Features:
        """A new front end with the settings and the statistics of this model."""
        return Features(self.features, self.mean, self.std)

    def require_streaming(self, path: str | os.PathLike[str]) -> None:
        """Raises InputError for a bidirectional model, which cannot transcribe live sound.

        The message begins with `path`.
        """
        if self.graph and self.graph.layers:
            raise InputError(
                f"{path}: a bidirectional model needs whole clips and cannot transcribe live: "
                "use `ds2edge transcribe`, or train and convert a model "
                'with direction = "forward"'
            )

    def to_json(self) -> str:
        """The specification as JSON text, indented and in a fixed order."""
        names = {"std": "deviation"}
        values = {names.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        return json.dumps(values, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Specification:
        """The inverse of `to_json`. InputError, beginning with `where`, for any other text."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: the specification is not JSON ({error})") from None
        return from_dict(cls, values, where)


def read_specification(path: str | os.PathLike[str]) -> Specification:
    """Reads the specification in a .tflite file, and checks that the file is undamaged.

    The check needs the checksum in the file; a file without one passes. InputError if there is no
    file, no specification in it, or the file is damaged.
    """
    return Specification.from_json(read_specification_text(Path(path)), str(path))


def attach_specification(path: str | os.PathLike[str], specification: Specification) -> None:
    """Appends the specification and a checksum to a bare .tflite file."""
    with Path(path).open("r+b") as file:
        append_specification(file, specification.to_json())
