"""Writes the golden vectors, which the tests of Python, Java and JavaScript read.

python tests/record_vectors.py

tests/golden/vectors/README.md describes the files.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from support import GOLDEN, RATE, int16, logits_of, speech

from ds2edge.runtime.audio.resampler import Resampler
from ds2edge.runtime.decoding.ctc import Decoder, Meaning, Word
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.endpoint import Endpointer, EndpointRules
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.runtime.network import Logits, Network, States
from ds2edge.runtime.phrases.embedded import embed
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.pretrained import model_path
from ds2edge.runtime.specification import attach_specification, read_specification
from ds2edge.runtime.stream import Stream

ROOT = Path(__file__).parent.parent.resolve()
FOLDER = Path(__file__).parent / "golden" / "vectors"
MODELS = {
    "letters": GOLDEN.resolve(),
    "pieces": model_path("pretrained").resolve(),
    "conformer": GOLDEN.with_name("mini-conformer.tflite").resolve(),
}
CUTS = [1, 159, 160, 161, 7, 1000, 319, 320, 321, 4001]  # lengths of the pieces of a stream
PARTIAL_STEPS = 7  # between two partial texts
# Symbols with a space at every place.
ODD_ALPHABET = ("", " ", "a", "b", "ab", " a", "b ", "a b")
ODD_STEP_SECONDS = 0.04
# "a", "b" and "a": the second pause is just long enough to end a word, the first one is not.
PAUSES = [2, *[0] * 19, 3, *[0] * 20, 2, *[0] * 30]
ODD_PHRASES = ("ab a", "b ab", "a b b", "b", "a a a")
MEANINGS = {
    "house.ds2ph": [
        "turn down the radio",
        "turn up wireless",
        "turn on the radio",
        "yes close the windows",
        "close door",
        "one two three nine",
        "one two three",
        "",
    ],
    "names.ds2ph": ["call ann mary please", "call please", "call", "good morning", "seven a b"],
    "odd.ds2ph": ["ab a"],
}
DTYPES = {".i16": "<i2", ".i8": "i1", ".f32": "<f4"}
SPEECH = "speech.i16"
EDGES = "edges.i16"
INSIDE = "inside.tflite"


class Recorder(Network):
    """A network that keeps what goes in and what comes out."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.frames: list[np.ndarray] = []
        self.logits: list[Logits] = []
        self.states: States = {}

    def step(self, frames: np.ndarray, states: States) -> tuple[Logits, States]:
        """Runs one chunk, as `Network.step` does."""
        logits, self.states = super().step(frames, states)
        self.frames.append(frames)
        self.logits.append(logits)
        return logits, self.states


@dataclass(frozen=True)
class Source:
    """Logits for a decoder, and where they stand in a file."""

    alphabet: Sequence[str]
    step_seconds: float
    logits: Logits  # [steps, symbols]
    place: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What a test needs to decode the logits."""
        return {
            "alphabet": list(self.alphabet),
            "step_seconds": self.step_seconds,
            "logits": self.place,
        }


def stage(name: str) -> dict[str, Any]:
    """The content of a JSON file, which lists the cases of one stage."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def read(file: str | dict[str, Any]) -> np.ndarray:
    """An array: a file, or an object with a file, a shape, and perhaps the steps to decode."""
    if isinstance(file, str):
        return np.fromfile(FOLDER / file, DTYPES[(FOLDER / file).suffix])
    array = read(file["file"]).reshape(file["shape"])
    if "steps" in file:
        first, last = file["steps"]
        array = array.reshape(-1, array.shape[-1])[first:last]
    return array


def pieces(samples: np.ndarray, cuts: list[int]) -> Iterator[np.ndarray]:
    """Cuts samples into pieces of these lengths, again and again."""
    first = 0
    for length in cycle(cuts):
        if first >= len(samples):
            return
        yield samples[first : first + length]
        first += length


def input_quantization(path: Path) -> tuple[float, int]:
    """Scale and zero point that the first operation of an int8 graph gives to the frames."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    features = next(t["index"] for t in interpreter.get_input_details() if "features" in t["name"])
    operation = next(o for o in interpreter._get_ops_details() if features in o["inputs"])
    assert operation["op_name"] == "QUANTIZE"
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    scale, zero_point = tensors[operation["outputs"][0]]["quantization"]
    return float(scale), int(zero_point)


def quantized(frames: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """What the graph makes of float32 frames: int8."""
    rounded = np.rint(frames / np.float32(scale)) + zero_point
    return np.clip(rounded, -128, 127).astype(np.int8)


def words(spoken: list[Word]) -> list[list[Any]]:
    """Words as JSON: text, start, end, confidence."""
    return [[word.text, word.start, word.end, word.confidence] for word in spoken]


def meaning(found: Meaning | None) -> dict[str, Any] | None:
    """A meaning as JSON."""
    return None if found is None else {"intent": found.intent, "slots": found.slots}


def utterances(decoder: Decoder, rules: EndpointRules, logits: Logits) -> list[dict[str, Any]]:
    """The utterances that an endpointer cuts from logits, as JSON."""
    endpointer = Endpointer(decoder, rules)
    endpointer.accept(logits)
    return [
        {
            "words": words(ended.words),
            "decided": round(ended.decided, 6),
            "meaning": meaning(decoder.meaning(" ".join(word.text for word in ended.words))),
        }
        for ended in endpointer.take(last=True)
    ]


def odd_logits(seed: int, steps: int = 200) -> Logits:
    """Random logits of ODD_ALPHABET, with pauses of many blanks."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (steps, len(ODD_ALPHABET))).astype(np.float32)
    pause = np.sin(np.arange(steps) / (6 + 3 * seed)) > 0.3
    logits[pause, 0] += 12
    return logits


class Vectors:
    """Writes the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._speech = int16(speech(gap=1.0))
        self._write(SPEECH, self._speech)
        # What the decoders get, by name: alphabet, seconds per step, logits, and the place of the
        # logits in a file.
        self._sources: dict[str, Source] = {}

    def write(self) -> None:
        """Writes all vectors."""
        self._resampler()
        self._features()
        self._streams()
        odd = {f"odd-{seed}": odd_logits(seed) for seed in range(3)}
        odd["odd-pauses"] = logits_of(PAUSES, ODD_ALPHABET)
        for name, logits in odd.items():
            place = {**self._write(f"{name}-logits.f32", logits), "steps": [0, len(logits)]}
            self._sources[name] = Source(ODD_ALPHABET, ODD_STEP_SECONDS, logits, place)
        self._decoding()
        self._endpoints()
        self._phrases()

    def _write(self, name: str, array: np.ndarray) -> dict[str, Any]:
        array.astype(array.dtype.newbyteorder("<")).tofile(self._folder / name)
        return {"file": name, "shape": list(array.shape)}

    def _write_json(self, name: str, content: Any) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        # A list of numbers or a word takes one line.
        text = re.sub(r"\[[^][{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text)
        (self._folder / name).write_text(text + "\n", encoding="utf-8")

    def _resampler(self) -> None:
        """A sweep up to 6.5 kHz, and a tone above half the new rate, which must vanish."""
        cases = []
        for rate in (8000, 44100, 48000):
            t = np.arange(rate // 4) / rate
            top = min(6500.0, 0.4 * rate)
            sweep = 0.4 * np.sin(2 * np.pi * (50 + 2 * (top - 50) * t) * t)
            vanishing = 0.3 * np.sin(2 * np.pi * 10500 * t) if rate > 2 * 10500 else 0.0
            samples = int16(sweep + vanishing)
            resampler = Resampler(RATE)
            expected = np.concatenate([resampler.accept(samples, rate), resampler.finish()])
            cases.append(
                {
                    "rate": rate,
                    "samples": self._write(f"sweep-{rate}.i16", samples),
                    "expected": self._write(f"sweep-{rate}-to-{RATE}.f32", expected),
                }
            )
        self._write_json("resampler.json", {"rate": RATE, "cases": cases})

    def _features(self) -> None:
        rng = np.random.default_rng(5)
        silence = np.zeros(1600, np.int16)
        square = np.repeat([32767, -32768], 25).astype(np.int16)
        quiet = rng.integers(-3, 4, 1600).astype(np.int16)
        edges = np.concatenate(
            [silence, self._speech[3200:14400], silence, np.tile(square, 32), quiet]
        )
        self._write(EDGES, edges)
        models = {name: Network(path).specification for name, path in MODELS.items()}
        plain = {
            "linear": (FeatureSettings(), len(edges)),
            "8-khz": (FeatureSettings(8000, 200, 80, mel_bands=40), 6000),
            "odd-window": (FeatureSettings(window=221, hop=100, level_rise=0.1), 4000),
        }
        cases = [
            self._feature_case(name, spec.features, spec.mean, spec.std, edges)
            for name, spec in models.items()
        ]
        for name, (settings, length) in plain.items():
            mean, std = (0.0,) * settings.bins, (1.0,) * settings.bins
            cases.append(self._feature_case(name, settings, mean, std, edges[:length]))
        self._write_json("features.json", {"samples": EDGES, "cuts": CUTS, "cases": cases})

    def _feature_case(
        self,
        name: str,
        settings: FeatureSettings,
        mean: Sequence[float],
        std: Sequence[float],
        samples: np.ndarray,
    ) -> dict[str, Any]:
        frames = Features(settings, mean, std)(samples.astype(np.float32) / np.float32(32768))
        return {
            "name": name,
            "settings": dataclasses.asdict(settings),
            "mean": mean,
            "deviation": std,
            "length": len(samples),
            "frames": self._write(f"features-{name}.f32", frames),
        }

    def _streams(self) -> None:
        streams = [self._stream_case(name, path) for name, path in MODELS.items()]
        self._write_json(
            "streams.json", {"samples": SPEECH, "rate": RATE, "cuts": CUTS, "cases": streams}
        )

    def _stream_case(self, name: str, path: Path) -> dict[str, Any]:
        network = Recorder(path)
        stream = Stream(network)
        partials = []
        for piece in pieces(self._speech, CUTS):
            stream.accept(piece, RATE)
            partials.append(stream.partial())
        result = stream.finish()
        scale, zero_point = input_quantization(path)
        frames = quantized(np.stack(network.frames), scale, zero_point)
        logits = np.stack(network.logits)
        place = self._write(f"{name}-logits.f32", logits)
        self._sources[name] = self._source(network, place)
        states = network.states
        order = [[state.name, list(state.shape)] for state in network.graph.states]
        values = np.concatenate([states[state].ravel() for state, _ in order])
        return {
            "name": name,
            "model": path.relative_to(ROOT).as_posix(),
            "crc32": f"{zlib.crc32(path.read_bytes()):08x}",
            "scale": scale,
            "zero_point": zero_point,
            "frames": self._write(f"{name}-frames.i8", frames),
            "logits": place,
            "states": {**self._write(f"{name}-states.f32", values), "order": order},
            "duration": result.duration,
            "partials": partials,
            "words": words(result.words),
        }

    def _source(self, network: Recorder, place: dict[str, Any]) -> Source:
        specification, graph = network.specification, network.graph
        samples = len(self._speech)
        padding = graph.padding
        silence = padding.before(specification.features) + padding.after(
            samples, specification.features
        )
        steps = specification.features.frames(samples + silence) // graph.time_stride
        first = graph.warmup + graph.lookahead
        logits = np.concatenate(network.logits)[first:steps]
        place = {**place, "steps": [first, steps]}
        return Source(specification.alphabet, specification.step_seconds, logits, place)

    def _decoding(self) -> None:
        cases = []
        for name, source in self._sources.items():
            decoder = GreedyDecoder(source.alphabet, source.step_seconds)
            partials = []
            for first in range(0, len(source.logits), PARTIAL_STEPS):
                decoder.accept(source.logits[first : first + PARTIAL_STEPS])
                partials.append(decoder.text())
            case = {"name": name, **source.to_json(), "words": words(decoder.final_words())}
            cases.append({**case, "partials": partials})
        self._write_json("decoding.json", {"partial_steps": PARTIAL_STEPS, "cases": cases})

    def _endpoints(self) -> None:
        rules = [
            EndpointRules(),
            EndpointRules(idle=0.5, silence=0.3, length=20.0),
            EndpointRules(idle=2.4, silence=1.2, length=0.7),
        ]
        cases = [
            {
                "name": name,
                **source.to_json(),
                "rules": dataclasses.asdict(rule),
                "utterances": utterances(
                    GreedyDecoder(source.alphabet, source.step_seconds), rule, source.logits
                ),
            }
            for name, source in self._sources.items()
            for rule in rules
        ]
        self._write_json("endpoints.json", {"cases": cases})

    def _phrases(self) -> None:
        loose = Phrases.of(*ODD_PHRASES, min_confidence=0.01)
        loose.enough_letters = 5.0
        files = {
            "house.ds2ph": Phrases.load(FOLDER / "house.yaml"),
            "names.ds2ph": Phrases.load(FOLDER / "names.yaml"),
            "odd.ds2ph": Phrases.of(*ODD_PHRASES, min_confidence=0.01),
            "odd-loose.ds2ph": loose,
        }
        cases = []
        for file, phrases in files.items():
            phrases.save(self._folder / file)
            odd = file.startswith("odd")
            for name, source in self._sources.items():
                if name.startswith("odd") == odd:
                    decoder = phrases(source.alphabet, source.step_seconds)
                    found = utterances(decoder, EndpointRules(0.5, 0.3, 20.0), source.logits)
                    case = {"name": f"{file} {name}", "phrases": file, **source.to_json()}
                    cases.append({**case, "utterances": found})
        meanings = [
            {"phrases": file, "text": text, "meaning": meaning(files[file].meaning(text))}
            for file, texts in MEANINGS.items()
            for text in texts
        ]
        self._write_json("phrases.json", {"cases": cases, "meanings": meanings})
        self._inside(files["house.ds2ph"])

    def _inside(self, phrases: Phrases) -> None:
        """A model file with phrases inside. In place of a flatbuffer it has zeros."""
        path = self._folder / INSIDE
        path.write_bytes(bytes(1000))
        attach_specification(path, read_specification(GOLDEN))
        embed(path, phrases, path)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    Vectors(FOLDER).write()
