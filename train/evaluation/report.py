"""An evaluation as Markdown, JSON, and one HTML file in which the worst clips can be heard."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError
from ds2edge.train.evaluation.evaluate import Confusion, Evaluation, Figures, Transcript
from ds2edge.train.evaluation.scoring import align
from ds2edge.train.files import write_whole

SPEAKERS = 20  # shown, the worst; the JSON has all
CONFUSIONS = 10  # of each kind in the Markdown; the JSON has more
# Players in the HTML. FLAC at 16 kHz takes up to 30 kB a second, base64 a third more: 16 MB at the very most.
PLAYERS = 20
PLAYED = 20  # seconds of a clip
RATE = 16000


def make_folder(folder: Path) -> None:
    """The folder of a report. InputError if it cannot be made: better said before the work than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot hold a report ({error.strerror}): choose another folder"
        ) from None


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Writes evaluation.md, .json and .html into `folder`; each appears whole or not at all.

    InputError if one cannot be written, or a clip not be read any more.
    """
    write_whole(folder / "evaluation.json", to_json(evaluation))
    write_whole(folder / "evaluation.md", "# Evaluation\n\n" + markdown(evaluation))
    write_whole(folder / "evaluation.html", html(evaluation))


def to_json(evaluation: Evaluation) -> str:
    """All of it."""
    return json.dumps(dataclasses.asdict(evaluation), indent=1, ensure_ascii=False) + "\n"


def markdown(evaluation: Evaluation) -> str:
    """Tables for people."""
    lines = [
        f"{_model(evaluation)}; split {evaluation.split} of {', '.join(evaluation.manifests)}",
        "",
    ]
    lines += _table("", [evaluation.overall])
    lines += [
        line for title, figures in _tables(evaluation) for line in ["", *_table(title, figures)]
    ]
    kinds = (evaluation.substitutions, evaluation.insertions, evaluation.deletions)
    rows = list(zip_longest(*(kind[:CONFUSIONS] for kind in kinds)))
    if rows:
        lines += ["", "| substitutions | insertions | deletions |", "|---|---|---|"]
        lines += [f"| {' | '.join(_confusion(confusion) for confusion in row)} |" for row in rows]
    if evaluation.left_out:
        lines += [
            "",
            f"clips left out: {len(evaluation.left_out)}",
            "",
            *(f"- {line}" for line in evaluation.left_out),
        ]
    return "\n".join(lines) + "\n"


def html(evaluation: Evaluation) -> str:
    """One page that needs no other file and no network. InputError if a clip of it cannot be read."""
    environment = Environment(
        loader=PackageLoader("ds2edge.train"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    worst = [clip for clip in evaluation.clips if clip.word_errors][:PLAYERS]
    return environment.get_template("evaluation.html.j2").render(
        evaluation=evaluation,
        model=_model(evaluation),
        tables=list(_tables(evaluation)),
        pictures={
            title: _picture(title, figures)
            for title, figures in _tables(evaluation)
            if len(figures) > 1
        },
        clips=[(clip, _kinds(clip), _player(clip)) for clip in worst],
        played=PLAYED,
    )


def _model(evaluation: Evaluation) -> str:
    speed = evaluation.real_time_factor
    timed = "" if speed is None else f", real-time factor {speed:.4f}"
    return f"{evaluation.model}: {evaluation.name}, {evaluation.mode}; {evaluation.engine}{timed}"


def _tables(evaluation: Evaluation) -> Iterator[tuple[str, list[Figures]]]:
    speakers = evaluation.by_speaker
    more = f" (the {SPEAKERS} worst of {len(speakers)})" if len(speakers) > SPEAKERS else ""
    yield from (
        (title, figures)
        for title, figures in (
            (f"speaker{more}", speakers[:SPEAKERS]),
            ("length", evaluation.by_length),
            (f"signal to noise ({evaluation.noise})", evaluation.by_noise),
        )
        if figures
    )


def _table(title: str, rows: list[Figures]) -> Iterator[str]:
    yield f"| {_cell(title)} | clips | words | hours | WER % (95 % interval) | CER % (95 % interval) |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        rates = [
            f"{rate:.2f} ({low:.2f} to {high:.2f})"
            for rate, (low, high) in ((row.wer, row.wer_interval), (row.cer, row.cer_interval))
        ]
        yield f"| {_cell(row.group)} | {row.clips} | {row.words} | {row.hours:.3f} | {' | '.join(rates)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _confusion(confusion: Confusion | None) -> str:
    if confusion is None:
        return ""
    words = " → ".join(word for word in (confusion.said, confusion.heard) if word)
    return f"{words} ({confusion.times})"


def _kinds(clip: Transcript) -> list[tuple[str, str, str]]:
    """Said, heard, and how they differ: the style of each pair of words on the page."""
    pairs = align(clip.reference, clip.hypothesis)
    return [
        (
            said,
            heard,
            "equal"
            if said == heard
            else "insertion"
            if not said
            else "deletion"
            if not heard
            else "substitution",
        )
        for said, heard in pairs
    ]


def _player(clip: Transcript) -> str:
    """The beginning of the clip as a data URI: FLAC, which every browser plays, at the rate that models hear."""
    file = io.BytesIO()
    soundfile.write(file, read_audio(clip.audio, RATE)[: PLAYED * RATE], RATE, format="FLAC")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"


def _picture(title: str, rows: list[Figures]) -> str:
    """WER with its intervals as a data URI; the same figures give the same bytes."""
    figure = Figure(figsize=(6, 0.8 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names, rates = [row.group for row in rows], [row.wer for row in rows]
    # Never below 0, not even by a rounding error: matplotlib refuses that.
    below = [max(0.0, row.wer - row.wer_interval[0]) for row in rows]
    above = [max(0.0, row.wer_interval[1] - row.wer) for row in rows]
    axes.barh(
        range(len(rows)), rates, xerr=(below, above), color="#7aa6c2", ecolor="#333", capsize=3
    )
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("WER %, with 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": title}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
