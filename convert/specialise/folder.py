"""The folder that `ds2edge specialise` writes, and the settings that it was begun with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ds2edge.convert.specialise.voice_groups import VoiceGroups
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.records import from_dict


@dataclass(frozen=True)
class Settings:
    """What decides the trained model. A run that was interrupted goes on with the same."""

    hours: float  # of synthetic speech in an epoch
    epochs: int
    seed: int
    init_from: str  # run to start from
    noise: str | None  # folder of noise to train with; None: synthesised
    voices: tuple[str, ...]  # names; empty: all that are installed


@dataclass(frozen=True)
class Checks:
    """What decides the threshold and the report, beside the trained model."""

    false_accepts: float = 0.5  # allowed in an hour of other speech
    other_speech: tuple[str, ...] = ()  # recordings without a phrase
    recordings: str | None = None  # manifest of recorded phrases


@dataclass(frozen=True)
class Begun:
    """The record of a run in its folder."""

    grammar: str  # digest of the phrases
    settings: Settings
    groups: VoiceGroups


class Folder:
    """Paths in the folder. `work` holds what a later stage needs, and can be deleted at the end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.model = folder / "model.tflite"
        self.report = folder / "report.html"
        self.figures = folder / "report.json"
        self.work = folder / "work"
        self.run = self.work / "run"
        self.cache = self.work / "cache"
        self.float_model = self.work / "float32.tflite"
        self.int8_model = self.work / "int8.tflite"
        self.threshold = self.work / "threshold.json"
        self._begun = self.work / "begun.json"
        self._checks = self.work / "checks.json"

    def speech(self, split: str) -> Path:
        """Folder of the synthetic speech of a split. The model's card has its name."""
        return self.work / f"synthetic-{split}"

    def begun(self) -> Begun | None:
        """What the folder was begun with; None if it is new. InputError for a damaged record."""
        if not self._begun.exists():
            return None
        try:
            values = json.loads(read_text(self._begun))
        except ValueError as error:
            raise InputError(f"{self._begun}: not JSON ({error}): choose a new folder") from None
        return from_dict(Begun, values, str(self._begun))

    def begin(self, begun: Begun) -> None:
        """Records what the folder is begun with."""
        write_whole(self._begun, _json(begun))

    def set_checks(self, checks: Checks) -> None:
        """Removes the threshold and the report if they were made with other checks."""
        text = _json(checks)
        if self._checks.exists() and read_text(self._checks) != text:
            for path in (self.threshold, self.model, self.figures, self.report):
                path.unlink(missing_ok=True)
        write_whole(self._checks, text)

    def require_same(self, begun: Begun, grammar: str, settings: Settings) -> None:
        """InputError, with the first difference, unless the run goes on with what it began with."""
        other = "give the same, or another folder with -o"
        if begun.grammar != grammar:
            raise InputError(f"{self.path}: was begun with other phrases: {other}")
        for name, value in dataclasses.asdict(settings).items():
            old = getattr(begun.settings, name)
            if old != value:
                raise InputError(
                    f"{self.path}: was begun with {name} {_shown(old)}, not {_shown(value)}: "
                    f"{other}"
                )


def digest(phrases: Phrases) -> str:
    """A text that differs for phrases that differ."""
    content = json.dumps(phrases.grammar.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def absolute(path: str | os.PathLike[str]) -> str:
    """The path as a record of a folder keeps it, whatever the current directory is later."""
    return str(Path(path).absolute())


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return "none" if value is None else str(value)


def _json(record: Begun | Checks) -> str:
    return json.dumps(dataclasses.asdict(record), indent=1) + "\n"
