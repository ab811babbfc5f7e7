"""Feeds thousands of broken inputs to the kit.

    python tests/fuzz/fuzz.py --seconds 60 [--seed N] [--target audio]

Each input is a valid one with bytes changed, deleted, repeated or inserted. The kit must accept it
or raise InputError, within `MAX_SECONDS` and `MAX_MEMORY`. Each target runs in its own process, so
crashes are found too. Inputs that fail are saved in the folder `--keep`, with the error.
"""

from __future__ import annotations

import argparse
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

from targets import TARGETS

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
        path = folder / "input"
        path.write_bytes(inputs[0])
        try_input(take, path)  # imports modules, which must not count as slow
        for descriptor in (1, 2):  # C libraries print warnings
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + MAX_MEMORY,) * 2)
        deadline = time.monotonic() + seconds
        current = keep / f"{target}-{seed}.current"
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
