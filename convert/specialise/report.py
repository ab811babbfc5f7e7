"""The report of a specialised model: an HTML page and the same figures as JSON."""

from __future__ import annotations

import dataclasses
import json
import shlex
from dataclasses import dataclass

from ds2edge.convert.parity.figures import Parity
from ds2edge.convert.specialise.figures import (
    Accepted,
    Confusion,
    FalseAccepts,
    Generic,
    IntentTable,
    Rates,
    Recorded,
)
from ds2edge.convert.specialise.folder import Folder, Settings
from ds2edge.convert.specialise.plots import rates_plot, threshold_plot
from ds2edge.convert.specialise.threshold import Threshold
from ds2edge.runtime.files import write_whole
from ds2edge.train.reports import render_page
from ds2edge.train.words.advice import Advice

MOST_VOICES = 40  # bars in the picture; the JSON has all


@dataclass(frozen=True)
class VoiceUse:
    """A synthetic voice in the report."""

    name: str
    licence: str
    split: str


@dataclass(frozen=True)
class Report:
    """Everything that the report shows."""

    name: str
    settings: Settings
    threshold: Threshold
    advice: list[Advice]
    by_noise: list[Rates]
    by_voice: list[Rates]
    false_accepts: list[FalseAccepts]
    accepted: list[Accepted]
    intents: IntentTable | None
    confusions: list[Confusion]
    similar_accepted: list[Confusion]
    generic: Generic | None
    recorded: Recorded | None
    voices: list[VoiceUse]
    apart: bool  # whether the voices of the figures were not trained on
    licence: str
    training_hours: float
    parity: Parity


def write_report(report: Report, folder: Folder) -> None:
    """Writes report.json, then report.html. InputError if a file cannot be written."""
    write_whole(folder.figures, to_json(report))
    write_whole(folder.report, html(report, commands(folder)))


def commands(folder: Folder) -> dict[str, str]:
    """Command lines that use the model, by what they are for."""
    model = shlex.quote(str(folder.model))
    return {
        "listen with a microphone": f"ds2edge listen -m {model} --json",
        "recognise recordings": f"ds2edge transcribe -m {model} RECORDING --json",
        "install on a Raspberry Pi": (
            f"ds2edge deploy pi@raspberrypi.local -m {model} --service serve"
        ),
        "make a page for browsers": f"ds2edge web -m {model} -o page",
    }


def to_json(report: Report) -> str:
    """Every figure but those of parity, of which it has the error rates."""
    values = dataclasses.asdict(dataclasses.replace(report, parity=None))  # type: ignore[arg-type]
    [int8] = report.parity.comparisons
    values["parity"] = {
        "float_wer": report.parity.reference.wer,
        "int8_wer": int8.model.wer,
        "increase": int8.wer_increase,
        "increase_interval": int8.wer_increase_interval,
        "clips": report.parity.clips,
    }
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def html(report: Report, command_lines: dict[str, str]) -> str:
    """One page that needs no other file and no network."""
    recorded = report.recorded
    [int8] = report.parity.comparisons
    return render_page(
        "ds2edge.convert",
        "specialise.html.j2",
        report=report,
        commands=command_lines,
        int8=int8,
        noise_plot=rates_plot(report.by_noise, "noise"),
        voice_plot=rates_plot(report.by_voice[:MOST_VOICES], "voices"),
        threshold_plot=threshold_plot(report.threshold),
        recorded_plot=rates_plot(recorded.by_noise, "recorded") if recorded else "",
    )
