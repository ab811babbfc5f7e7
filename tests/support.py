"""Sound, weights and language models that tests are made of."""

from __future__ import annotations

import math
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2edge.runtime.decoding.language_model import LanguageModel

RATE = 16000
MINI = Path(__file__).parent.parent / "train" / "data" / "mini" / "manifest.jsonl"
GOLDEN = Path(__file__).parent / "golden" / "mini.tflite"  # trained: it says words
SPOKEN = {  # clips of the embedded corpus by two voices that it was not trained on
    "turn down the radio": MINI.parent / "audio" / "kokoro-am_michael_036.ogg",
    "seven one two five": MINI.parent / "audio" / "kokoro-bf_emma_028.ogg",
    "yes close the window": MINI.parent / "audio" / "kokoro-am_michael_008.ogg",
}
TINY = """
name = "tiny"

[model]
width = 24
depth = 2
lookahead = 3
convolutions = [
    { channels = 4, kernel = [5, 11], stride = [2, 4] },
    { channels = 4, kernel = [3, 7], stride = [1, 3] },
]

[training]
epochs = 2
batch_size = 8
"""


@dataclass(frozen=True)
class FakeVoice:
    """A voice for tests: it hums, and cannot say "hm"."""

    name: str
    licence: str = "CC0-1.0"

    def say(self, text: str, rng: random.Random) -> np.ndarray:
        """One second of sound and half a second of silence; "die" kills the process."""
        if "die" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hm":
            return np.zeros(RATE, np.float32)
        return np.pad(rng.uniform(0.01, 2) * babble(1.0, seed=rng.getrandbits(32)), RATE // 2)


def pretrained_script(name: str):
    """Loads a script of train/pretrained, which is no package, as a module."""
    import importlib.util

    path = Path(__file__).parent.parent / "train" / "pretrained" / f"{name}.py"
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    specification = importlib.util.spec_from_file_location(f"pretrained_{path.stem}", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there
    specification.loader.exec_module(module)
    return module


def speech(gap: float = 2.0) -> np.ndarray:
    """The spoken clips in order, `gap` seconds of a quiet room after each. float32 at RATE."""
    from ds2edge.runtime.audio.reader import read_audio

    rng = np.random.default_rng(0)
    pieces = []
    for path in SPOKEN.values():
        pieces += [
            read_audio(path, RATE),
            3e-4 * rng.standard_normal(int(gap * RATE)).astype(np.float32),
        ]
    return np.concatenate(pieces)


def int16(samples: np.ndarray) -> np.ndarray:
    """Float samples as a sound card gives them."""
    return np.round(samples * 32767).astype("<i2")


def babble(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Something like speech: tones that come and go, and a little noise. float32 in -1..1."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * f * t) for f in (180, 620, 1400, 2600)) * (
        np.sin(2 * np.pi * 3 * t) > 0
    )
    return (0.1 * tone + 0.01 * rng.standard_normal(len(t))).astype(np.float32)


def film(path: Path, codec: str, samples: np.ndarray, rate: int = RATE) -> None:
    """A file that FFmpeg writes, in the container that its suffix names."""
    import pytest

    av = pytest.importorskip("av", reason="PyAV is not installed (the extra `formats`)")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64000
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = rate
        for part in (frame, None):
            container.mux(stream.encode(part))


def jolt(model) -> None:
    """Moves every weight and every statistic of the batch norms away from its initial value.

    With initial values, a wrong fold of a batch norm would go unseen.
    """
    rng = np.random.default_rng(7)
    for weight in model.weights:
        value = rng.standard_normal(weight.shape)
        weight.assign(weight + (0.3 * np.abs(value) if "variance" in weight.path else 0.1 * value))


def jolted_run(recipe, folder: Path, ranges_of: np.ndarray | None = None):
    """A run with random weights, saved as if one epoch had been trained.

    `ranges_of`: samples from which the int8 ranges are taken, as quantization-aware training does.
    """
    import keras

    from ds2edge.runtime.specification import Specification
    from ds2edge.train.data.text import LETTERS
    from ds2edge.train.model.deepspeech2 import DeepSpeech2
    from ds2edge.train.model.observer import Observer
    from ds2edge.train.run import Run

    keras.utils.set_random_seed(3)
    bins = recipe.features.bins
    model = DeepSpeech2(recipe.model, bins, len(LETTERS))
    jolt(model)
    # About the level of speech, so that the quantizer gets values of the usual size.
    specification = Specification("tiny", LETTERS, recipe.features, (-55.0,) * bins, (15.0,) * bins)
    # Scaled until the text depends on the input: else equal texts would mean nothing.
    measure = specification.front_end()

    def inputs(samples):
        frames = measure(samples)[None]
        return {"features": frames, "lengths": np.array([frames.shape[1]], np.int32)}

    model.dense.bias.assign(0 * model.dense.bias)
    logits = np.asarray(model(inputs(babble(3.0))))[0]
    scale = 4 / logits.std(0).mean()
    model.dense.kernel.assign(scale * model.dense.kernel)
    model.dense.bias.assign(-scale * logits.mean(0))
    if ranges_of is not None:
        observer = Observer()
        model.quantized(inputs(ranges_of), observer)
        model.round_to(observer.ranges("minmax"))
    run = Run.create(folder, recipe, specification)
    run.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    return run


def untrained_run(recipe, folder: Path):
    """A run as if one epoch had been trained. Its weights are those that a training begins with."""
    import keras

    from ds2edge.runtime.specification import Specification
    from ds2edge.train.data.text import LETTERS
    from ds2edge.train.model.deepspeech2 import DeepSpeech2
    from ds2edge.train.run import Run

    keras.utils.set_random_seed(3)
    bins = recipe.features.bins
    specification = Specification("tiny", LETTERS, recipe.features, (-55.0,) * bins, (15.0,) * bins)
    run = Run.create(folder, recipe, specification)
    model = DeepSpeech2(recipe.model, bins, len(LETTERS))
    run.save_epoch(model, [{"epoch": 1, "loss": 1.0, "dev_wer": 100.0, "dev_cer": 100.0}])
    return run


@dataclass(frozen=True)
class ToneVoice:
    """A voice for tests: it says each letter as a tone of 60 ms."""

    name: str
    licence: str = "CC0-1.0"

    def say(self, text: str, rng: random.Random) -> np.ndarray:
        """The tones of a text, a little higher or lower by `rng`."""
        pitch = rng.uniform(0.9, 1.1)
        t = np.arange(RATE * 6 // 100) / RATE
        tones = [np.sin(2 * np.pi * pitch * (100 + 120 * (ord(c) % 32)) * t) for c in text]
        return np.concatenate(tones).astype(np.float32)


def tone_voices() -> list[ToneVoice]:
    """What an engine of voices gives."""
    return [ToneVoice(f"tone-{number}") for number in range(4)]


def install_tone_voices(folder: Path, monkeypatch) -> None:
    """Makes `tone_voices` an engine, as a package of a user could, here and in new processes."""
    facts = folder / "tone_voices-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tone-voices\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[ds2edge.voices]\ntone = support:tone_voices\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parent)]))


ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99\t<s>\t-0.3
-0.5\t</s>
-0.6\tLIGHT\t-0.2
-0.7\tTHE\t-0.1

\\2-grams:
-0.2\tTHE LIGHT
-0.4\t<s> THE

\\end\\
"""


def logits_of(path: list[int], alphabet: Sequence[str], margin: float = 9.0) -> np.ndarray:
    """Logits whose best symbols are `path`. Every other symbol is `margin` lower."""
    logits = np.zeros((len(path), len(alphabet)), np.float32)
    logits[np.arange(len(path)), path] = margin
    return logits


def probability(model: LanguageModel, *words: str) -> float:
    """p(last word | the words before)."""
    *history, word = map(model.id, words)
    return math.exp(model.log_probability(tuple(history), word))


def zipfian(seed: int, lines: int = 300) -> list[str]:
    """Sentences over 40 words, enough to estimate discounts from.

    Some words are frequent, and the next word is often a near one in the alphabet.
    """
    rng = np.random.default_rng(seed)
    numbers = np.cumsum(np.minimum(rng.zipf(1.6, (lines, 8)), 40), axis=1) % 40
    return [" ".join(f"w{n}" for n in line[: 1 + k % 8]) for k, line in enumerate(numbers)]
