"""Times the recogniser in JavaScript beside Python's, in one run.

    python benchmarks/web.py CLIP.wav

Chromium runs the package of devices/web on the main thread, with LiteRT.js. CLIP is speech at
16 kHz; the longer it is, the better. Times are milliseconds per chunk, the best of five rounds. The
exit code is 1 if the front end and the decoder take more than a third of the network's time.

Needs Node, Chromium, and `npm install` in devices/web.
"""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import click
import numpy as np
from timing import machine, print_missed, table

from ds2edge.devices.web_page import write_page
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.network import Network
from ds2edge.runtime.pretrained import PRETRAINED
from ds2edge.runtime.recognizer import Recognizer

WEB = Path(__file__).parents[1] / "devices" / "web"
MOST = 1 / 3  # target: share of the network's time that front end and decoder take
ROUNDS = 5


class _Clock:
    """A network that notes how long its steps take."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.seconds = 0.0
        self.steps = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._network, name)

    def step(self, *arguments: object) -> object:
        started = time.perf_counter()
        result = self._network.step(*arguments)  # type: ignore[arg-type]
        self.seconds += time.perf_counter() - started
        self.steps += 1
        return result


def time_python(samples: np.ndarray, rate: int) -> dict[str, float]:
    """Milliseconds per chunk of the network and of all else, the least of several rounds."""
    recognizer = Recognizer()
    rounds = []
    for _ in range(ROUNDS):
        clock = _Clock(Network(PRETRAINED))
        recognizer.network = clock  # type: ignore[assignment]
        started = time.perf_counter()
        recognizer.transcribe(samples, rate)
        whole = time.perf_counter() - started
        rounds.append((clock.seconds / clock.steps, (whole - clock.seconds) / clock.steps))
    network, rest = (1000 * min(column) for column in zip(*rounds, strict=True))
    return {"network": network, "rest": rest}


def time_page(clip: Path) -> dict[str, float]:
    """The same in Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder), PRETRAINED)
        handler = functools.partial(_Silent, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_port}"
        command = ["node", "tests/speed.js", address, str(clip.resolve()), str(ROUNDS)]
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=True)
        server.shutdown()
    times: dict[str, float] = json.loads(done.stdout)
    return times


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
def main(clip: Path) -> None:
    """Time front end, network and decoder in Python and in a page."""
    rate = 16000
    python = time_python(read_audio(clip, rate), rate)
    page = time_page(clip)
    rows: list[dict[str, object]] = [
        {
            "runtime": name,
            "network, ms per chunk": round(times["network"], 3),
            "all else": round(times["rest"], 3),
            "all else / network": round(times["rest"] / times["network"], 2),
        }
        for name, times in (("Python", python), ("page", page))
    ]
    click.echo(f"bundled model, chunks of 320 ms, one thread\n{machine()}\n\n{table(rows)}")
    share = page["rest"] / page["network"]
    missed = [f"in the page all else takes {share:.2f} of the network's time"]
    print_missed(missed if share > MOST else [])


if __name__ == "__main__":
    main()
