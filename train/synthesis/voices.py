"""Which voices are installed. Engines are plug-ins.

An engine is an entry point of the group `ds2edge.voices`: a function without arguments that returns
the voices it can use on this machine, or an empty list. A package of your own can add one in its
pyproject.toml:

    [project.entry-points."ds2edge.voices"]
    mine = "my_package.speech:voices"
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import entry_points

from ds2edge.runtime.errors import InputError
from ds2edge.train.synthesis.voice import Voice

log = logging.getLogger("ds2edge")

GROUP = "ds2edge.voices"
EXTRA = "pip install '.[synthesis]' in the checkout of ds2edge"
# What installs the engines of the kit.
INSTALL = {
    "hibari": EXTRA,
    "flite": "apt-get install flite",
    "espeak": "apt-get install espeak-ng",
    "kokoro": f"{EXTRA}, then ds2edge synthesise --get-kokoro",
    "piper": "pip install piper-tts, and put voices into the folder that PIPER_VOICES names",
}


def installed_voices() -> list[Voice]:
    """The voices of all engines on this machine, by engine. An engine that fails is named."""
    voices: list[Voice] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            voices += entry.load()()
        except Exception as error:  # a plug-in may fail in any way; the others still work
            log.warning("the voices of %s cannot be used: %s", entry.name, error)
    return voices


def engine_of(name: str) -> str:
    """The engine of a voice of this name: the part before the first hyphen."""
    return name.partition("-")[0]


def choose_voices(names: Sequence[str]) -> list[Voice]:
    """The installed voices of these names, or all of them if there are no names.

    The name of an engine stands for all its voices. InputError if no voice is installed, or if one
    of the names is not; it says what installs the engine.
    """
    installed = installed_voices()
    if not installed:
        raise InputError(f"no voice is installed: {EXTRA}")
    if not names:
        return installed
    chosen: dict[str, Voice] = {}
    for name in names:
        named = [voice for voice in installed if name in (voice.name, engine_of(voice.name))]
        if not named:
            raise InputError(_missing(name, installed))
        chosen |= {voice.name: voice for voice in named}
    return list(chosen.values())


def _missing(name: str, installed: Sequence[Voice]) -> str:
    engine = engine_of(name)
    engines = {engine_of(voice.name) for voice in installed}
    if engine not in engines and engine in INSTALL:
        return f"{name}: {engine} is not installed: {INSTALL[engine]}"
    return f"{name}: no such voice: ds2edge synthesise --list-voices shows them"
