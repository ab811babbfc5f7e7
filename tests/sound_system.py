"""Sound systems for tests: an ALSA microphone that plays a file, and one of PulseAudio."""

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
pcm.!default {{
  type file; slave.pcm {{ type null }}; file "/dev/null"; infile "{path}"; format "raw"
}}
"""
NO_PYAUDIO = "PyAudio is not installed (Debian: portaudio19-dev, then pip install pyaudio)"
ALSA_PULSE = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


def alsa_file(home: Path, samples: np.ndarray) -> dict[str, str]:
    """Returns an environment in which ALSA's default microphone plays `samples`.

    It has no clock: it plays them as fast as they are read.
    """
    pytest.importorskip(
        "pyaudio",
        reason=NO_PYAUDIO,
    )
    int16(samples).tofile(home / "clip.raw")
    (home / ".asoundrc").write_text(ALSA_FILE.format(path=home / "clip.raw"))
    return {"HOME": str(home)}


class PulsePipe:
    """A PulseAudio server with one microphone, which plays in real time what `say` queues."""

    def __init__(self, home: Path) -> None:
        pytest.importorskip("pyaudio", reason=NO_PYAUDIO)
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
        self._queue: list[bytes] = []
        self._done = threading.Event()

    @contextlib.contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Runs the server during the `with` statement."""
        self._fifo.unlink(missing_ok=True)
        socket = f"socket={self.environment['XDG_RUNTIME_DIR']}/native auth-anonymous=1"
        source = f"file={self._fifo} format=s16le rate={RATE} channels=1 source_name=clip"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--disallow-exit", "--use-pid-file=no"]
        command += ["-L", f"module-native-protocol-unix {socket}"]
        command += ["-L", f"module-pipe-source {source}"]
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
            server.kill()  # first, since the feeder may be blocked in a write
            server.wait()
            feeder.join()

    def say(self, samples: np.ndarray) -> None:
        """Queues sound to be played."""
        data = int16(samples).tobytes()
        self._queue += [data[first : first + 2 * BLOCK] for first in range(0, len(data), 2 * BLOCK)]

    def hush(self) -> None:
        """Empties the queue."""
        self._queue.clear()

    def wait_until_said(self) -> None:
        """Waits until the queue is empty."""
        while self._queue:
            time.sleep(0.02)

    def _feed(self) -> None:
        """Writes 20 ms at a time.

        Writes silence while the queue is empty, since the server's clock stops without data.
        """
        with self._fifo.open("wb", buffering=0) as pipe:
            due = time.monotonic()
            while not self._done.is_set():
                block = self._queue.pop(0) if self._queue else b""
                with contextlib.suppress(BrokenPipeError):
                    pipe.write(block.ljust(2 * BLOCK, b"\0"))
                due += BLOCK / RATE
                time.sleep(max(0.0, due - time.monotonic()))
