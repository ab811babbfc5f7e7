"""Broken inputs by the thousand: python tests/fuzz/fuzz.py --seconds 60 [--seed N] [--target audio].

Each input is a good one with bytes turned, cut, doubled and joined. The kit must take it or refuse it with an
InputError, in less than `SLOWEST` seconds and `MOST_MEMORY`; a process of its own per target shows what kills it. An
input that fails is kept in the folder `--keep` with what happened.
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
from pathlib import Path

SLOWEST = 5.0  # seconds for one input
MOST_MEMORY = 3 << 30  # bytes of address space beyond what the process begins with
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TEXT = (
    '"',
    "\\",
    "\0",
    "{",
    "}",
    "\u00a0",
    "1e999",
    "-1",
    "NaN",
    "null",
    "\ud800",
    "9" * 400,
    "\n",
    "\t",
    "[" * 500,
)


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A good input, broken in a few places."""
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
                broken[place:place] = rng.choice(TEXT).encode("utf-8", "surrogatepass")
            case 6:
                del broken[place:]
    return bytes(broken)


def sounds(folder: Path) -> list[bytes]:
    """A short sound in many forms."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(2000)
    forms = (
        "WAV:PCM_16 WAV:GSM610 WAV:MS_ADPCM WAVEX:FLOAT FLAC:PCM_16 OGG:VORBIS OGG:OPUS MP3:MPEG_LAYER_III AIFF:PCM_24 "
        "AU:ULAW CAF:ALAC_16 W64:PCM_16 RF64:PCM_16 VOC:PCM_16 NIST:PCM_16 PAF:PCM_16 SVX:PCM_16 SDS:PCM_16 WVE:ALAW "
        "HTK:PCM_16 MAT5:PCM_16 XI:DPCM_16 AVR:PCM_16 IRCAM:PCM_16 PVF:PCM_16 MPC2K:PCM_16"
    )
    made = []
    for form, subtype in (name.split(":") for name in forms.split()):
        with contextlib.suppress(RuntimeError, ValueError):
            soundfile.write(folder / "a", sound, 8000, format=form, subtype=subtype)
            made.append((folder / "a").read_bytes())
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([sound, -sound], 1), 48000, format="WAV")
    made.append(stereo.getvalue())
    made += [made[7] + made[7], made[5] + made[5]]  # joined
    with contextlib.suppress(ImportError):
        sys.path.insert(0, str(Path(__file__).parent.parent))
        from support import film

        for name, codec, rate in (
            ("a.m4a", "aac", 16000),
            ("a.webm", "libopus", 48000),
            ("a.wma", "wmav2", 44100),
        ):
            film(folder / name, codec, sound, rate)
            made.append((folder / name).read_bytes())
    return made


def hear(path: Path) -> None:
    from ds2edge.runtime.audio.reader import read_audio

    read_audio(path, 16000)


def hear_piped(path: Path) -> None:
    from threading import Event

    from ds2edge.runtime.live.sources import raw_pcm

    with path.open("rb") as file:
        for _ in raw_pcm(file.fileno(), 16000, "S16_LE", 1, Event()):
            pass


def manifest(path: Path) -> None:
    from ds2edge.train.data.manifest import read_manifest
    from ds2edge.train.data.text import normalise

    for clip in read_manifest(path):
        normalise(clip.text)


def table(path: Path) -> None:
    from ds2edge.train.corpora.folder import import_folder

    path.with_suffix(".csv").write_bytes(path.read_bytes())
    import_folder(path.with_suffix(".csv"), path.parent / "out", 0, 0, True, False)


def recipe(path: Path) -> None:
    from ds2edge.train.recipe import read_recipe

    read_recipe(path)


def arpa(path: Path) -> None:
    from ds2edge.train.language_model.arpa import read_arpa

    read_arpa(path)


def language_model(path: Path) -> None:
    from ds2edge.runtime.decoding.language_model import LanguageModel

    LanguageModel.load(path)


def specification(path: Path) -> None:
    from ds2edge.runtime.specification import read_specification

    read_specification(path)


ROOT = Path(__file__).parent.parent.parent
ARPA = (
    b"\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-99\t<s>\t-0.3\n-0.5\t</s>\n-0.6\ta\t-0.2\n-0.7\tb\t-0.1\n\n"
    b"\\2-grams:\n-0.2\tb a\n-0.4\t<s> b\n\n\\end\\\n"
)
MANIFEST = (
    b'{"audio": "a.wav", "text": "On 3/4 at 5:30, $5.50 for 1,000 (2%)!", "duration": 1, "split": "train"}\n'
    * 3
)
TABLE = b'audio,text,split\na.wav,"one, two",train\nb.wav,x,dev\n'


def _ds2lm(folder: Path) -> list[bytes]:
    from ds2edge.train.language_model.arpa import read_arpa

    (folder / "a.arpa").write_bytes(ARPA)
    return [read_arpa(folder / "a.arpa").to_bytes()]


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], list[bytes]]]] = {
    "audio": (hear, sounds),
    "pipe": (hear_piped, sounds),
    "manifest": (manifest, lambda folder: [MANIFEST]),
    "table": (table, lambda folder: [TABLE, b"a|one\nb|two|three\n"]),
    "recipe": (
        recipe,
        lambda folder: [path.read_bytes() for path in (ROOT / "train" / "recipes").glob("*.toml")],
    ),
    "arpa": (arpa, lambda folder: [ARPA]),
    "language-model": (language_model, _ds2lm),
    "specification": (
        specification,
        lambda folder: [(ROOT / "tests" / "golden" / "mini.tflite").read_bytes()],
    ),
}


def work(
    target: str,
    seed: int,
    seconds: float,
    keep: Path,
    count: multiprocessing.sharedctypes.Synchronized[int],
    beat: multiprocessing.sharedctypes.Synchronized[float],
) -> None:
    """Runs one target; `count` and `beat` tell the watcher how far it is and since when it is at this input."""
    from ds2edge.runtime.errors import InputError

    logging.getLogger("ds2edge").setLevel(logging.CRITICAL)
    take, make = TARGETS[target]
    rng = random.Random(f"{target} {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = make(folder)
        for descriptor in (1, 2):  # libraries write what they think of it
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + MOST_MEMORY,) * 2)
        until, current = time.monotonic() + seconds, keep / f"{target}-{seed}.current"
        path = folder / "input"
        while time.monotonic() < until:
            data = mutate(rng.choice(seeds), seeds, rng)
            path.write_bytes(data)
            current.write_bytes(data)
            beat.value = time.monotonic()
            try:
                take(path)
            except InputError as error:
                said = str(error).replace(str(path), "")
                failed = f"more than one line: {said[:200]}" if "\n" in said else ""
            except Exception as error:
                failed = f"{type(error).__name__}: {error}"
            else:
                failed = ""
            if failed:
                (keep / f"{target}-{seed}-{count.value}").write_bytes(data)
                (keep / f"{target}-{seed}-{count.value}.txt").write_text(failed)
            count.value += 1
        current.unlink()


def run(target: str, seed: int, seconds: float, keep: Path) -> int:
    """Inputs that were tried. A worker that dies or hangs leaves its input and is followed by another."""
    context, tried, until = multiprocessing.get_context("spawn"), 0, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        count, beat = context.Value("q", 0), context.Value("d", 0.0)
        worker = context.Process(target=work, args=(target, seed, left, keep, count, beat))
        worker.start()
        while worker.is_alive():
            worker.join(0.2)
            if beat.value and time.monotonic() - beat.value > SLOWEST and worker.is_alive():
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
    """Runs all targets, or one, and ends with 1 if anything failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60, help="for all targets together")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--target", choices=TARGETS, action="append")
    options.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    given = options.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    targets = given.target or list(TARGETS)
    tried = {
        target: run(target, given.seed, given.seconds / len(targets), given.keep)
        for target in targets
    }
    failures = sorted(given.keep.glob("*.txt"))
    print(json.dumps({"inputs": sum(tried.values()), **tried, "failures": len(failures)}))
    for failure in failures[:20]:
        print(f"{failure}: {failure.read_text()[:200]}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
