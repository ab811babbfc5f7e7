"""Sound systems to test against: an ALSA device that plays a file, a PulseAudio server whose microphone is a pipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import RATE, int16

BLOCK = RATE // 50  # samples of 20 ms
ALSA_FILE = """
pcm.!default {{ type file; slave.pcm {{ type null }}; file "/dev/null"; infile "{path}"; format "raw" }}
"""
ALSA_PULSE = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


def alsa_file(home: Path, samples: np.ndarray) -> dict[str, str]:
    """Environment in which ALSA's default microphone plays the samples, as fast as they are taken."""
    pytest.importorskip(
        "pyaudio",
        reason="PyAudio is not installed (Debian: portaudio19-dev, then pip install pyaudio)",
    )
    int16(samples).tofile(home / "clip.raw")
    (home / ".asoundrc").write_text(ALSA_FILE.format(path=home / "clip.raw"))
    return {"HOME": str(home)}


class PulsePipe:
    """A PulseAudio server of its own, whose one microphone hears what is said into it, in real time."""

    def __init__(self, home: Path) -> None:
        pytest.importorskip(
            "pyaudio", reason="PyAudio is not installed (Debian: portaudio19-dev, then pip)"
        )
        if not shutil.which("pulseaudio"):
            pytest.skip("PulseAudio is not installed (Debian: pulseaudio, libasound2-plugins)")
        self._fifo = home / "microphone"
        run = home / "run"
        run.mkdir(mode=0o700)
        (home / ".asoundrc").write_text(ALSA_PULSE)
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_SERVER": f"unix:{run}/native",
        }
        self._waiting: list[bytes] = []
        self._done = threading.Event()

    @contextlib.contextmanager
    def plugged_in(self) -> Iterator[None]:
        """The server runs within."""
        self._fifo.unlink(missing_ok=True)
        command = [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--disallow-exit",
            "--use-pid-file=no",
            "-L",
            f"module-native-protocol-unix socket={self.environment['XDG_RUNTIME_DIR']}/native auth-anonymous=1",
            "-L",
            f"module-pipe-source file={self._fifo} format=s16le rate={RATE} channels=1 source_name=clip",
        ]
        self._done.clear()
        server = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        feeder = threading.Thread(target=self._feed)
        try:
            deadline = time.monotonic() + 20
            while not self._fifo.exists():
                assert time.monotonic() < deadline, "PulseAudio did not start"
                time.sleep(0.05)
            feeder.start()
            yield
        finally:
            self._done.set()
            server.kill()  # before the join: the feeder may be waiting for it to read
            server.wait()
            feeder.join()

    def say(self, samples: np.ndarray) -> None:
        """Queues sound to be heard after what is already queued."""
        data = int16(samples).tobytes()
        self._waiting += [
            data[first : first + 2 * BLOCK] for first in range(0, len(data), 2 * BLOCK)
        ]

    def hush(self) -> None:
        """Forgets what is queued."""
        self._waiting.clear()

    def wait_until_said(self) -> None:
        """Returns when all that was queued has been heard."""
        while self._waiting:
            time.sleep(0.02)

    def _feed(self) -> None:
        """20 ms at a time; silence between sounds, since a pipe without data stops the server's clock."""
        with self._fifo.open("wb", buffering=0) as pipe:
            due = time.monotonic()
            while not self._done.is_set():
                block = self._waiting.pop(0) if self._waiting else b""
                with contextlib.suppress(BrokenPipeError):
                    pipe.write(block.ljust(2 * BLOCK, b"\0"))
                due += BLOCK / RATE
                time.sleep(max(0.0, due - time.monotonic()))
