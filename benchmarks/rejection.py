"""Draws false accepts an hour against understood commands, or against missed wake phrases.

    python benchmarks/rejection.py COMMANDS --phrases FILE --other-speech FOLDER... -o OUT.png
    python benchmarks/rejection.py CLIPS --wake "hey computer" --other-speech FOLDER... -o OUT.png

COMMANDS is a manifest of `benchmarks/commands.py`; in CLIPS, every clip says the wake phrase. The
command prints the same as a table. `--noise` mixes noise into the commands at `--noise-snr`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from commands import read_commands
from matplotlib.figure import Figure

from ds2edge.runtime import InputError, Listener, Phrases, Recognizer
from ds2edge.runtime.audio.file_types import expand_folders
from ds2edge.runtime.audio.reader import AudioFile, read_audio
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.false_accepts import confidences, upper_bound
from ds2edge.runtime.phrases.decoder import MIN_CONFIDENCE
from ds2edge.runtime.phrases.wake import WAKE_CONFIDENCE, Wake
from ds2edge.train.augmentation.noise import at_ratios
from ds2edge.train.progress import track

LEAST_WAKE = 0.2  # below it, false wakes would hide others
THRESHOLDS = np.unique(np.append(np.round(np.arange(0, 1, 0.01), 2), [0.005, 0.015, 0.025]))


@dataclass(frozen=True)
class Heard:
    """The confidence of one clip, and whether what was understood is right."""

    confidence: float
    right: bool


def command_answers(
    manifest: Path, phrases: Phrases, recognizer: Recognizer, noise: str | None, snr: float | None
) -> list[Heard]:
    """What the recogniser makes of each command, whatever its confidence."""
    rate = recognizer.specification.features.sample_rate
    commands = read_commands(manifest, phrases)
    answers = []
    for command in track(commands, "commands", len(commands)):
        samples = read_audio(command.audio, rate)
        if snr is not None:
            [samples] = at_ratios(samples, rate, noise, command.audio.name, [snr])
        result = recognizer.transcribe(samples, rate)
        found = result.meaning
        right = bool(found and (found.intent, found.slots) == (command.intent, command.slots))
        answers.append(Heard(result.words[0].confidence if result.words else 0.0, right))
    return answers


def wake_confidences(recognizer: Recognizer, phrase: str, path: Path) -> tuple[list[float], float]:
    """The confidences at which a recording wakes the listener, and its hours."""
    wakes: list[Wake] = []
    wanted = Phrases.of(phrase, min_confidence=LEAST_WAKE)
    listener = Listener(recognizer, wake=wanted, on_wake=wakes.append)
    audio = AudioFile(path)
    for block in audio.blocks():
        listener.accept(block, audio.rate)
    listener.finish()
    return [wake.confidence for wake in wakes], listener.duration / 3600


def wake_answers(manifest: Path, phrase: str, recognizer: Recognizer) -> list[Heard]:
    """The highest confidence of the wake phrase in each clip; 0 if it was missed."""
    clips = [manifest.parent / json.loads(line)["audio"] for line in manifest.open()]
    found = (wake_confidences(recognizer, phrase, clip)[0] for clip in track(clips, "", len(clips)))
    return [Heard(max(confidences, default=0.0), True) for confidences in found]


def other_wakes(
    paths: list[Path], phrase: str, recognizer: Recognizer
) -> tuple[list[float], float]:
    """The confidences of the wake phrase in other speech, and the hours."""
    found: list[float] = []
    hours = 0.0
    for path in track(paths, "other speech", len(paths)):
        wakes, duration = wake_confidences(recognizer, phrase, path)
        found += wakes
        hours += duration
    return found, hours


def rows(answers: list[Heard], other: list[float], hours: float) -> Iterator[list[float]]:
    """For each threshold: shares understood and misunderstood, false accepts an hour, its bound."""
    for least in THRESHOLDS:
        accepted = [heard for heard in answers if heard.confidence >= least]
        right = sum(heard.right for heard in accepted)
        false = sum(confidence >= least for confidence in other)
        shares = [right / len(answers), (len(accepted) - right) / len(answers)]
        yield [least, *shares, false / hours, upper_bound(false, hours)]


def draw(
    table: npt.NDArray[np.float64], default: float, wake: bool, hours: float, output: Path
) -> None:
    """Draws the shares over the false accepts an hour. A ring marks the default."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    lines = {"understood": table[:, 1], "misunderstood": table[:, 2]}
    if wake:
        lines = {"missed": 1 - table[:, 1]}
    at = int(np.abs(table[:, 0] - default).argmin())
    for name, shares in lines.items():
        (line,) = axes.plot(table[:, 3], 100 * shares, marker=".", label=name)
        axes.plot(table[at, 3], 100 * shares[at], "o", ms=11, mfc="none", color=line.get_color())
    axes.set_xscale("symlog", linthresh=0.5)
    axes.set_xlim(left=-0.02)
    axes.set_ylim(-2, 102)
    axes.set_xlabel(f"false accepts an hour, in {hours:.1f} h of other speech and noise")
    axes.set_ylabel("% of wake phrases" if wake else "% of commands")
    axes.set_title(f"Ring: the default, confidence {default:g}", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(output, dpi=110)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--phrases", type=click.Path(path_type=Path), help="What may be said.")
@click.option("--wake", help="Wake phrase.")
@model_option
@click.option("--other-speech", multiple=True, required=True, type=click.Path(path_type=Path))
@click.option("--noise", help="Folder of sound files to mix into the commands.")
@click.option("--noise-snr", type=float, help="Signal-to-noise ratio in dB.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Picture.")
def main(
    manifest: Path,
    phrases: Path | None,
    wake: str | None,
    model: Path,
    other_speech: tuple[Path, ...],
    noise: str | None,
    noise_snr: float | None,
    output: Path,
) -> None:
    """Print and draw what each confidence accepts."""
    others = expand_folders(other_speech)
    if wake:
        recognizer = Recognizer(model)
        answers = wake_answers(manifest, wake, recognizer)
        other, hours = other_wakes(others, wake, recognizer)
    elif phrases:
        loaded = Phrases.load(phrases, 0.0)
        recognizer = Recognizer(model, phrases=loaded)
        answers = command_answers(manifest, loaded, recognizer, noise, noise_snr)
        other, hours = confidences(recognizer, track(others, "other speech", len(others)))
    else:
        raise InputError("give --phrases or --wake")
    default = WAKE_CONFIDENCE if wake else MIN_CONFIDENCE
    table = np.array(list(rows(answers, other, hours)))
    draw(table, default, bool(wake), hours, output)
    click.echo(f"{len(answers)} clips; {hours:.2f} h of other speech and noise")
    click.echo(f"{'confidence':>10} {'right':>8} {'wrong':>8} {'false accepts an hour':>22}")
    for least, right, wrong, false, bound in table:
        if round(least * 100) % 5 == 0 or least == default:
            click.echo(
                f"{least:>10g} {100 * right:>6.1f} % {100 * wrong:>6.1f} % "
                f"{false:>8.2f} (up to {bound:.2f})"
            )


if __name__ == "__main__":
    main()
