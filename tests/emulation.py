"""Emulated Arm boards: Debian for their processors, the wheels that pip chooses there, and qemu."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ds2edge-tests"
# Debian 12's qemu, 7.2, shows programs the /proc/cpuinfo of this machine, which makes
# ai-edge-litert 2.3.0 crash.
QEMU_SUITE = "trixie"
# Packages are unpacked and not installed, which takes seconds and runs no code of theirs. Security
# updates are left out: their mirror often fails because it is being updated.
MMDEBSTRAP = (
    "mmdebstrap",
    "--variant=extract",
    '--aptopt=Acquire::Retries "3"',
    '--setup-hook=sed -Ei "/-(updates|security) /d" "$1"/etc/apt/sources.list',
)
PIP = (
    *("-m", "pip", "install", "--quiet", "--no-compile"),
    *("--break-system-packages", "--only-binary=:all:"),
)


class Unavailable(Exception):
    """A board cannot be emulated here. The message is the reason."""


@dataclass(frozen=True)
class System:
    """A Debian system for boards, and the processors to test it on."""

    suite: str
    architecture: str  # as Debian names it
    qemu: str
    processors: tuple[str, ...]  # as qemu names them
    packages: tuple[str, ...] = ("python3", "python3-pip", "libstdc++6", "libgomp1")


def fetch_emulators() -> Path:
    """Folder with qemu's programs. Unavailable if they cannot be downloaded."""
    return _cached("qemu", QEMU_SUITE, _unpack_qemu)


class EmulatedBoard:
    """A board that runs `system` in one of `emulators`, with the wheel unpacked in folder `kit`."""

    def __init__(self, system: System, kit: Path, emulators: Path) -> None:
        """Downloads and unpacks what is not in the cache yet. Unavailable if that fails."""
        (metadata,) = kit.glob("*.dist-info")
        requirements = [
            line for line in Distribution.at(metadata).requires or [] if "extra ==" not in line
        ]
        self._kit = kit
        self._qemu = emulators / system.qemu

        def prepare(root: Path) -> None:
            _unpack_debian(system, root)
            pip = [*self._interpreter(root, system.processors[0]), *PIP, *requirements]
            _run(pip, f"wheels for Debian {system.suite} on {system.architecture}")

        self._root = _cached(
            f"{system.suite}-{system.architecture}", repr((system, requirements)), prepare
        )

    def python(self, processor: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs Python on the board. Paths are those of this machine."""
        command = [*self._interpreter(self._root, processor), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(self._kit)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def _interpreter(self, root: Path, processor: str) -> list[str]:
        python = (root / "usr/bin/python3").resolve()
        return [str(self._qemu), "-cpu", processor, "-L", str(root), str(python)]


def _unpack_debian(system: System, root: Path) -> None:
    packages = [f"--architectures={system.architecture}", f"--include={','.join(system.packages)}"]
    _run(
        [*MMDEBSTRAP, *packages, system.suite, str(root)],
        f"Debian {system.suite} for {system.architecture}",
    )
    # What an installation would also do: link /lib, and choose a numerical library.
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    for name in ("blas", "lapack"):
        for folder in root.glob(f"usr/lib/*/{name}"):
            (folder.parent / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")


def _unpack_qemu(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as root:
        _run([*MMDEBSTRAP, "--include=qemu-user", QEMU_SUITE, root], f"qemu of Debian {QEMU_SUITE}")
        folder.mkdir()
        for name in ("qemu-aarch64", "qemu-arm"):  # static programs, which run on any Linux
            shutil.copy2(Path(root, "usr/bin", name), folder)


def _cached(name: str, contents: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills once for the same `contents`. It appears whole or not at all."""
    path = CACHE / f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as beside:
            make(Path(beside, "made"))
            # An OSError means that another test run was quicker. Its folder is as good.
            with contextlib.suppress(OSError):
                os.rename(Path(beside, "made"), path)
    return path


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable(f"{what}: {command[0]} is not installed") from None
    if done.returncode:
        # apt and mmdebstrap write "E: ...", pip writes "ERROR: ...".
        reason = re.search(r"^E(RROR)?: .*", done.stderr, re.MULTILINE)
        raise Unavailable(f"{what}: {reason[0] if reason else done.stderr[-500:]}")
