"""Where final utterances are kept: a log of JSON lines, and a folder of recordings with a manifest."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import soundfile

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.utterances import Utterance

DEV_EVERY = 10  # utterances, of which one is to judge a training by


def final_event(utterance: Utterance, latency: float) -> dict[str, Any]:
    """The JSON object of a final; `latency`: seconds from the end of its last word until it was known."""
    return {
        "event": "final",
        "text": utterance.text,
        "start": utterance.start,
        "end": utterance.end,
        "confidence": utterance.confidence,
        "latency": round(latency, 3),
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "words": [dataclasses.asdict(word) for word in utterance.words],
    }


class JsonLines:
    """A file that grows by whole lines: each is one write, so that a process that is killed leaves no half one."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it. A half line that a power cut left is closed. InputError if it cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def append(self, record: dict[str, Any]) -> None:
        """Adds a line, whole or not at all. OSError if the disk is full."""
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class Recordings:
    """A folder of utterances as 16-bit WAV files, with a manifest that the kit can train on."""

    def __init__(self, folder: Path, rate: int) -> None:
        """`rate` of the sound, in Hz. InputError if the folder cannot be written."""
        self._folder, self._rate = folder, rate
        self._manifest = JsonLines(folder / "manifest.jsonl")
        self._kept = (folder / "manifest.jsonl").read_bytes().count(b"\n")

    def add(self, utterance: Utterance) -> None:
        """Writes the sound, whole or not at all, then its line: the text is what was recognised, to be corrected."""
        name = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S-%fZ.wav")
        beside = self._folder / (name + ".part")
        try:
            soundfile.write(beside, utterance.samples, self._rate, subtype="PCM_16", format="WAV")
            os.replace(beside, self._folder / name)
        except (
            soundfile.LibsndfileError
        ):  # it does not tell what the system said; the disk is full, as a rule
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        finally:
            beside.unlink(missing_ok=True)
        seconds = round(len(utterance.samples) / self._rate, 3)
        split = "dev" if self._kept % DEV_EVERY == DEV_EVERY // 2 else "train"
        self._manifest.append(
            {"audio": name, "text": utterance.text, "duration": seconds, "split": split}
        )
        self._kept += 1

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()
