"""Counts how many recorded commands are understood, with and without noise.

    python benchmarks/commands.py MANIFEST --phrases FILE [--noise FOLDER --noise-snr 24,12]

Each line of MANIFEST has a sound file (`audio`), and an `intent` and `slots` or a `text` that the
phrases contain. A command is understood if the intent and every slot are right and there is no
other slot. It is misunderstood if the recogniser accepts something else, and rejected if it accepts
nothing. The noise of a clip depends on its file name alone, so that it is the same at all levels
and for all models.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ds2edge.runtime import Phrases, Recognizer
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.decoding.ctc import Meaning
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.progress import track

OUTCOMES = ("understood", "misunderstood", "rejected")


@dataclass(frozen=True)
class Command:
    """A recorded command and what it means."""

    audio: Path
    intent: str
    slots: dict[str, Any]


def read_commands(manifest: Path, phrases: Phrases) -> list[Command]:
    """The commands of a manifest. InputError for a text that is no phrase."""
    commands = []
    for row in map(json.loads, manifest.read_text("utf-8").splitlines()):
        if "intent" not in row:
            meaning = phrases.meaning(row["text"])
            if not meaning:
                raise InputError(f"{manifest}: '{row['text']}' is none of the phrases")
            row |= asdict(meaning)
        commands.append(Command(manifest.parent / row["audio"], row["intent"], row["slots"]))
    return commands


def outcome(recognizer: Recognizer, command: Command, samples: Samples, rate: int) -> str:
    """One of OUTCOMES."""
    return outcome_of(recognizer.transcribe(samples, rate).meaning, command)


def outcome_of(meaning: Meaning | None, command: Command) -> str:
    """One of OUTCOMES. Text without a meaning is rejected: a program could do nothing with it."""
    if meaning is None:
        return "rejected"
    right = (meaning.intent, meaning.slots) == (command.intent, command.slots)
    return "understood" if right else "misunderstood"


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--phrases", required=True, type=click.Path(path_type=Path), help="What may be said.")
@model_option
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Reject below it.")
@click.option("--noise", help="Folder of sound files to mix in.")
@click.option("--noise-snr", default="", metavar="dB[,dB...]", help="Signal-to-noise ratios in dB.")
def main(
    manifest: Path,
    phrases: Path,
    model: Path,
    min_confidence: float | None,
    noise: str | None,
    noise_snr: str,
) -> None:
    """Print the shares of commands that are understood, misunderstood and rejected."""
    snrs = [float(snr) for snr in noise_snr.split(",") if snr]
    loaded = Phrases.load(phrases, min_confidence)
    recognizer = Recognizer(model, phrases=loaded)
    rate = recognizer.specification.features.sample_rate
    commands = read_commands(manifest, loaded)
    counts: list[Counter[str]] = [Counter() for _ in range(len(snrs) + 1)]
    for command in track(commands, "listening", len(commands)):
        samples = read_audio(command.audio, rate)
        noisy = at_ratios(samples, rate, noise, command.audio.name, snrs)
        for count, sound in zip(counts, [samples, *noisy], strict=True):
            count[outcome(recognizer, command, sound, rate)] += 1
    names = ["no noise", *(f"{snr:g} dB" for snr in snrs)]
    click.echo(f"{len(commands)} commands of {manifest}")
    click.echo(f"{'noise':<10}" + "".join(f"{name:>15}" for name in OUTCOMES))
    for name, count in zip(names, counts, strict=True):
        shares = "".join(f"{100 * count[kind] / len(commands):>13.1f} %" for kind in OUTCOMES)
        click.echo(f"{name:<10}{shares}")


if __name__ == "__main__":
    main()
