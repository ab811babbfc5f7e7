"""Stores final utterances: a log of JSON lines, and a folder of recordings with a manifest."""

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

DEV_INTERVAL = 10  # one recording in this many goes to the dev split


def final_event(utterance: Utterance, latency: float) -> dict[str, Any]:
    """Returns the JSON object of a final utterance.

    `latency`: seconds from the end of its last word until the utterance was final.
    """
    meaning = dataclasses.asdict(utterance.meaning) if utterance.meaning else {}
    return {
        "event": "final",
        "text": utterance.text,
        **meaning,
        "start": utterance.start,
        "end": utterance.end,
        "confidence": utterance.confidence,
        "latency": round(latency, 3),
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "words": [dataclasses.asdict(word) for word in utterance.words],
    }


class JsonLines:
    """A file to which JSON objects are appended, one per line.

    Each line is a single write, so a process that is killed leaves no incomplete line.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and ends an incomplete last line, as a power cut leaves it.

        Raises InputError if the file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror}): choose another"
            ) from None
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def append(self, record: dict[str, Any]) -> None:
        """Appends a line, whole or not at all. Raises OSError if the disk is full."""
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise _disk_full()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class Recordings:
    """A folder of utterances as 16-bit WAV files with a manifest, ready to train on."""

    def __init__(self, folder: Path, rate: int) -> None:
        """Opens or creates the folder. `rate`: sample rate of the utterances in Hz.

        Raises InputError if the folder cannot be written.
        """
        self._folder = folder
        self._rate = rate
        manifest = folder / "manifest.jsonl"
        self._manifest = JsonLines(manifest)
        self._count = manifest.read_bytes().count(b"\n")

    def add(self, utterance: Utterance) -> None:
        """Writes the sound and then its line in the manifest, each whole or not at all.

        The text is what was recognised; correct it before you train on it. Raises OSError if the
        disk is full.
        """
        name = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S-%fZ.wav")
        partial = self._folder / f"{name}.part"
        try:
            soundfile.write(partial, utterance.samples, self._rate, subtype="PCM_16", format="WAV")
            os.replace(partial, self._folder / name)
        except soundfile.LibsndfileError:
            # libsndfile hides the system's error; nearly always the disk is full.
            raise _disk_full() from None
        finally:
            partial.unlink(missing_ok=True)
        is_dev = self._count % DEV_INTERVAL == DEV_INTERVAL // 2
        self._manifest.append(
            {
                "audio": name,
                "text": utterance.text,
                "duration": round(len(utterance.samples) / self._rate, 3),
                "split": "dev" if is_dev else "train",
            }
        )
        self._count += 1

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()


def _disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
