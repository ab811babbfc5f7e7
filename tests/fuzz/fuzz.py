"""Feeds thousands of broken inputs to the kit.

    python tests/fuzz/fuzz.py --seconds 60 [--seed N] [--target audio]

Each input is a valid one with bytes changed, deleted, repeated or inserted. The kit must accept it
or raise InputError, within `MAX_SECONDS` and `MAX_MEMORY`. Each target runs in its own process, so
crashes are found too. Inputs that fail are saved in the folder `--keep`, with the error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

MAX_SECONDS = 5.0  # for one input
MAX_MEMORY = 3 << 30  # bytes of address space, beyond those at the start
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TEXTS = (
    *('"', "\\", "\0", "{", "}", "\u00a0", "\ud800", "\n", "\t"),
    *("1e999", "-1", "NaN", "null", "9" * 400, "[" * 500),
)


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Breaks a valid input in a few places. `others`: inputs to insert pieces of."""
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(broken) + 1)
        match rng.randrange(7):
            case 0 if broken:
                broken[place % len(broken)] ^= 1 << rng.randrange(8)
            case 1:
                size = rng.choice((1, 2, 4))
                number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
                broken[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
            case 2:
                del broken[place : place + rng.choice((1, 4, 64, 4096))]
            case 3:
                broken[place:place] = broken[place : place + rng.choice((4, 64, 4096))]
            case 4:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                broken[place : place + 64] = other[start : start + rng.choice((8, 256, 8192))]
            case 5:
                broken[place:place] = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
            case 6:
                del broken[place:]
    return bytes(broken)


def sound_inputs(folder: Path) -> list[bytes]:
    """A short sound in many formats."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(2000)
    formats = (
        "WAV:PCM_16 WAV:GSM610 WAV:MS_ADPCM WAVEX:FLOAT FLAC:PCM_16 OGG:VORBIS OGG:OPUS "
        "MP3:MPEG_LAYER_III AIFF:PCM_24 AU:ULAW CAF:ALAC_16 W64:PCM_16 RF64:PCM_16 VOC:PCM_16 "
        "NIST:PCM_16 PAF:PCM_16 SVX:PCM_16 SDS:PCM_16 WVE:ALAW HTK:PCM_16 MAT5:PCM_16 XI:DPCM_16 "
        "AVR:PCM_16 IRCAM:PCM_16 PVF:PCM_16 MPC2K:PCM_16"
    )
    files = []
    for file_format, subtype in (name.split(":") for name in formats.split()):
        with contextlib.suppress(RuntimeError, ValueError):
            soundfile.write(folder / "a", sound, 8000, format=file_format, subtype=subtype)
            files.append((folder / "a").read_bytes())
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([sound, -sound], 1), 48000, format="WAV")
    files.append(stereo.getvalue())
    files += [files[7] + files[7], files[5] + files[5]]  # concatenated
    with contextlib.suppress(ImportError):
        sys.path.insert(0, str(Path(__file__).parent.parent))
        from support import film

        for name, codec, rate in (
            ("a.m4a", "aac", 16000),
            ("a.webm", "libopus", 48000),
            ("a.wma", "wmav2", 44100),
        ):
            film(folder / name, codec, sound, rate)
            files.append((folder / name).read_bytes())
    return files


def read_sound(path: Path) -> None:
    from ds2edge.runtime.audio.reader import read_audio

    read_audio(path, 16000)


def read_sound_pipe(path: Path) -> None:
    from threading import Event

    from ds2edge.runtime.audio.wav_header import WavFormat
    from ds2edge.runtime.live.sources import read_pipe

    with path.open("rb") as file:
        for _ in read_pipe(file.fileno(), WavFormat(16000, 1, "S16_LE"), Event()):
            pass


def read_manifest_texts(path: Path) -> None:
    from ds2edge.train.data.manifest import read_manifest
    from ds2edge.train.data.text import normalise

    for clip in read_manifest(path):
        normalise(clip.text)


def import_table(path: Path) -> None:
    from ds2edge.train.corpora.folder import import_folder

    path.with_suffix(".csv").write_bytes(path.read_bytes())
    import_folder(path.with_suffix(".csv"), path.parent / "out", 0, 0, True, False)


def read_recipe_file(path: Path) -> None:
    from ds2edge.train.recipe import read_recipe

    read_recipe(path)


def read_arpa_file(path: Path) -> None:
    from ds2edge.train.language_model.arpa import read_arpa

    read_arpa(path)


def load_language_model(path: Path) -> None:
    from ds2edge.runtime.decoding.language_model import LanguageModel

    LanguageModel.load(path)


def parse_specification(path: Path) -> None:
    from ds2edge.runtime.specification import Specification

    Specification.from_json(path.read_bytes(), str(path))


def load_model(path: Path) -> None:
    from ds2edge.runtime.network import Network

    Network(path)


ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "mini.tflite"
ARPA = (
    b"\\data\\\nngram 1=4\nngram 2=2\n\n"
    b"\\1-grams:\n-99\t<s>\t-0.3\n-0.5\t</s>\n-0.6\ta\t-0.2\n-0.7\tb\t-0.1\n\n"
    b"\\2-grams:\n-0.2\tb a\n-0.4\t<s> b\n\n\\end\\\n"
)
CLIP = (
    b'{"audio": "a.wav", "text": "On 3/4 at 5:30, $5.50 for 1,000 (2%)!", "duration": 1, '
    b'"split": "train"}\n'
)
TABLE = b'audio,text,split\na.wav,"one, two",train\nb.wav,x,dev\n'


def specification_inputs(folder: Path) -> list[bytes]:
    from ds2edge.runtime.specification import read_specification

    return [read_specification(GOLDEN).to_json().encode()]


def ds2lm_inputs(folder: Path) -> list[bytes]:
    from ds2edge.train.language_model.arpa import read_arpa

    (folder / "a.arpa").write_bytes(ARPA)
    return [read_arpa(folder / "a.arpa").to_bytes()]


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], list[bytes]]]] = {
    "audio": (read_sound, sound_inputs),
    "pipe": (read_sound_pipe, sound_inputs),
    "manifest": (read_manifest_texts, lambda folder: [3 * CLIP]),
    "table": (import_table, lambda folder: [TABLE, b"a|one\nb|two|three\n"]),
    "recipe": (
        read_recipe_file,
        lambda folder: [path.read_bytes() for path in (ROOT / "train" / "recipes").glob("*.toml")],
    ),
    "arpa": (read_arpa_file, lambda folder: [ARPA]),
    "language-model": (load_language_model, ds2lm_inputs),
    "specification": (parse_specification, specification_inputs),
    "model": (load_model, lambda folder: [GOLDEN.read_bytes()]),
}


def try_input(take: Callable[[Path], None], path: Path) -> str:
    """Returns what is wrong with how the kit treats an input; "" if nothing is."""
    from ds2edge.runtime.errors import InputError

    try:
        take(path)
    except InputError as error:
        message = str(error).replace(str(path), "")
        return f"more than one line: {message[:200]}" if "\n" in message else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def work(
    target: str,
    seed: int,
    seconds: float,
    keep: Path,
    count: Synchronized[int],
    started: Synchronized[float],
) -> None:
    """Runs one target for `seconds`, in a process of its own.

    `count`: number of inputs so far. `started`: time.monotonic() at the start of the current one.
    """
    logging.getLogger("ds2edge").setLevel(logging.CRITICAL)
    take, make_inputs = TARGETS[target]
    rng = random.Random(f"{target} {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = make_inputs(folder)
        for descriptor in (1, 2):  # C libraries print warnings
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + MAX_MEMORY,) * 2)
        deadline = time.monotonic() + seconds
        current = keep / f"{target}-{seed}.current"
        path = folder / "input"
        while time.monotonic() < deadline:
            data = mutate(rng.choice(inputs), inputs, rng)
            path.write_bytes(data)
            current.write_bytes(data)
            started.value = time.monotonic()
            if failure := try_input(take, path):
                (keep / f"{target}-{seed}-{count.value}").write_bytes(data)
                (keep / f"{target}-{seed}-{count.value}.txt").write_text(failure)
            count.value += 1
        current.unlink()


def run(target: str, seed: int, seconds: float, keep: Path) -> int:
    """Fuzzes one target and returns the number of inputs.

    Saves the input of a process that crashes or hangs, and starts another process.
    """
    context = multiprocessing.get_context("spawn")
    tried = 0
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        count = context.Value("q", 0)
        started = context.Value("d", 0.0)
        worker = context.Process(target=work, args=(target, seed, left, keep, count, started))
        worker.start()
        while worker.is_alive():
            worker.join(0.2)
            hangs = started.value and time.monotonic() - started.value > MAX_SECONDS
            if hangs and worker.is_alive():
                worker.kill()
                worker.join()
        tried += count.value
        if worker.exitcode:
            current = keep / f"{target}-{seed}.current"
            if current.exists():
                current.rename(keep / f"{target}-{seed}-{tried}-killed")
            (keep / f"{target}-{seed}-{tried}-killed.txt").write_text(
                f"exit code {worker.exitcode}, or slow"
            )
        seed += 1
    return tried


def main() -> None:
    """Fuzzes all targets or some; the exit code is 1 if an input failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="Time for all targets together.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the random inputs.")
    parser.add_argument(
        "--target",
        choices=TARGETS,
        action="append",
        help="Target; may be repeated. By default, all.",
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-failures"), help="Folder for inputs that fail."
    )
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    targets = arguments.target or list(TARGETS)
    tried = {
        target: run(target, arguments.seed, arguments.seconds / len(targets), arguments.keep)
        for target in targets
    }
    failures = sorted(arguments.keep.glob("*.txt"))
    print(json.dumps({"inputs": sum(tried.values()), **tried, "failures": len(failures)}))
    for failure in failures[:20]:
        print(f"{failure}: {failure.read_text()[:200]}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
