"""A parity measurement as Markdown and JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ds2edge.convert.parity import ModelFigures, Parity
from ds2edge.train.files import write_whole

MOST_CHANGED = 20  # clips shown in the Markdown; the JSON has all


def markdown(parity: Parity) -> str:
    """Tables for people, with what each figure was measured on."""
    low, high = parity.wer_increase_interval
    lines = [
        f"{parity.clips} clips, {parity.words} words, {parity.seconds:g} s; {parity.interpreter}, one thread",
        "",
        "| model | WER % (95 % interval) | CER % | size MB | ms a chunk | real-time factor |",
        "|---|---|---|---|---|---|",
        _row(parity.reference),
        _row(parity.candidate),
        "",
        f"- WER increase: {parity.wer_increase:+.2f} points (95 % interval {low:+.2f} to {high:+.2f}, paired)",
        f"- steps with the same best symbol: {parity.frame_agreement:.2f} %",
        f"- {parity.speedup:.2f} times as fast, {parity.size_ratio:.2f} of the size",
        "",
        "| stage | signal to noise dB |",
        "|---|---|",
        *(f"| {name} | {value:.1f} |" for name, value in parity.signal_to_noise.items()),
    ]
    if parity.changed:
        shown = parity.changed[:MOST_CHANGED]
        lines += ["", f"{len(parity.changed)} clips with another text ({len(shown)} shown):", ""]
        lines += ["| said | float | quantized |", "|---|---|---|"]
        lines += [f"| {c['said']} | {c['reference']} | {c['candidate']} |" for c in shown]
    return "\n".join(lines) + "\n"


def write_report(parity: Parity, folder: Path) -> None:
    """Writes parity.md and parity.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "parity.md": "# Parity\n\n" + markdown(parity),
        "parity.json": json.dumps(dataclasses.asdict(parity), indent=1) + "\n",
    }.items():
        write_whole(folder / name, text)


def _row(model: ModelFigures) -> str:
    low, high = model.wer_interval
    return (
        f"| {model.mode} | {model.wer:.2f} ({low:.2f} to {high:.2f}) | {model.cer:.2f} | {model.bytes / 1e6:.2f} "
        f"| {model.milliseconds_per_chunk:.2f} | {model.real_time_factor:.4f} |"
    )
