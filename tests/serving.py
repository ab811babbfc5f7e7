"""A server process and its clients: the real `wyoming` client, and one in the style of Vosk's."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support import GOLDEN, RATE
from websockets.asyncio.client import connect
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

PROGRAM = str(Path(sys.executable).with_name("ds2edge"))


class Server:
    """`ds2edge serve` in a process of its own, at free ports."""

    def __init__(self, *options: object, model: Path = GOLDEN) -> None:
        command = [PROGRAM, "serve", "-m", model, "--port", 0, "--websocket-port", 0, *options]
        self._process = subprocess.Popen(
            [str(word) for word in command], stderr=subprocess.PIPE, text=True
        )
        # Read all the time: a server whose log is full would wait.
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.port = self._read_port("Wyoming: tcp:")
        self.websocket_port = self._read_port("websocket: ws:")

    def _read_port(self, start: str) -> int:
        line = self.read_line()
        assert line.startswith(start), [line, *self._rest()]
        return int(re.search(r":(\d+)$", line)[1])

    @property
    def memory(self) -> int:
        """Bytes of memory in use."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def read_line(self) -> str:
        """The next line of the log, without its end."""
        return self._lines.get(timeout=60)

    def _read_log(self) -> None:
        for line in self._process.stderr:
            self._lines.put(line.rstrip("\n"))

    def _rest(self) -> list[str]:
        """The lines of the log up to its end."""
        self._reader.join(timeout=15)
        return [self._lines.get() for _ in range(self._lines.qsize())]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[str]]:
        """Stops it with a signal. Returns the exit code and the lines of its log."""
        self._process.send_signal(number)
        return self._process.wait(timeout=15), self._rest()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def serving(*options: object) -> Iterator[Server]:
    server = Server(*options)
    try:
        yield server
    finally:
        server.kill()


def blocks(sound: np.ndarray, seconds: float = 0.1, rate: int = RATE) -> Iterator[bytes]:
    """int16 samples as messages of this length."""
    data = sound.tobytes()
    size = 2 * int(seconds * rate)
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def send_sound(
    client: AsyncTcpClient, messages: Sequence[bytes], rate: int = RATE, language: str = "en"
) -> None:
    """What Home Assistant sends until the end of a command."""
    await client.write_event(Transcribe(language=language).event())
    await client.write_event(AudioStart(rate, 2, 1).event())
    for message in messages:
        await client.write_event(AudioChunk(rate, 2, 1, message).event())


async def read_until(client: AsyncTcpClient, kind: str) -> list[Event]:
    """Events up to the first of a type."""
    events = []
    while not events or events[-1].type != kind:
        event = await client.read_event()
        assert event is not None, events
        events.append(event)
    return events


async def wyoming_text(port: int, sound: np.ndarray, host: str = "127.0.0.1") -> str:
    """The transcript that Home Assistant would get."""
    async with AsyncTcpClient(host, port) as client:
        await send_sound(client, list(blocks(sound)))
        await client.write_event(AudioStop().event())
        return (await read_until(client, "transcript"))[-1].data["text"]


async def vosk_replies(
    port: int, sound: np.ndarray, rate: int = RATE, **config: Any
) -> list[dict[str, Any]]:
    """The replies to a client that works as vosk-server's test.py does."""
    async with connect(f"ws://127.0.0.1:{port}") as websocket:
        await websocket.send(json.dumps({"config": {"sample_rate": rate, **config}}))
        replies = []
        for message in [*blocks(sound, 0.2, rate), '{"eof" : 1}']:
            await websocket.send(message)
            replies.append(json.loads(await websocket.recv()))
        return replies


def text_of(replies: list[dict[str, Any]]) -> str:
    """All final text."""
    return " ".join(reply["text"] for reply in replies if reply.get("text"))
