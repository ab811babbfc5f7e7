"""Reports of an evaluation: Markdown, JSON, and an HTML page that plays the worst clips."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import soundfile
from matplotlib.figure import Figure

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.files import write_whole
from ds2edge.train.evaluation.results import Confusion, Evaluation, Figures, Transcript
from ds2edge.train.evaluation.scoring import align
from ds2edge.train.reports import (
    data_uri,
    left_out_list,
    markdown_table,
    render_page,
    svg_uri,
)

SPEAKERS = 20  # the worst speakers are shown; the JSON has all
CONFUSIONS = 10  # rows of mistakes in the Markdown; the JSON has more
# Clips with a player in the HTML, and the seconds that each one plays. FLAC at 16 kHz takes up to
# 30 kB a second and base64 a third more, so the page holds at most 16 MB of audio.
PLAYERS = 20
PLAYED = 20
RATE = 16000  # Hz, of the audio in the HTML


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Writes evaluation.json, .md and .html into `folder`. No file is ever half written.

    InputError if a file cannot be written, or if a clip can no longer be read.
    """
    write_whole(folder / "evaluation.json", to_json(evaluation))
    write_whole(folder / "evaluation.md", "# Evaluation\n\n" + markdown(evaluation))
    write_whole(folder / "evaluation.html", html(evaluation))


def to_json(evaluation: Evaluation) -> str:
    """Every field of the evaluation, with the texts of every clip."""
    return json.dumps(dataclasses.asdict(evaluation), indent=1, ensure_ascii=False) + "\n"


def markdown(evaluation: Evaluation) -> str:
    """The evaluation as tables of text."""
    lines = [
        f"{_model(evaluation)}; split {evaluation.split} of {', '.join(evaluation.manifests)}",
        "",
        *_table("", [evaluation.overall]),
    ]
    for title, figures in _tables(evaluation):
        lines += ["", *_table(title, figures)]
    kinds = (evaluation.substitutions, evaluation.insertions, evaluation.deletions)
    rows = [
        [_confusion(confusion) for confusion in row]
        for row in zip_longest(*(kind[:CONFUSIONS] for kind in kinds))
    ]
    if rows:
        lines += ["", *markdown_table(["substitutions", "insertions", "deletions"], rows)]
    lines += left_out_list(evaluation.left_out)
    return "\n".join(lines) + "\n"


def html(evaluation: Evaluation) -> str:
    """One page without links to other files. InputError if a clip can no longer be read."""
    worst = [clip for clip in evaluation.clips if clip.word_errors][:PLAYERS]
    tables = list(_tables(evaluation))
    return render_page(
        "ds2edge.train",
        "evaluation.html.j2",
        evaluation=evaluation,
        model=_model(evaluation),
        tables=tables,
        pictures={title: _picture(title, figures) for title, figures in tables if len(figures) > 1},
        clips=[(clip, _aligned_words(clip), _player(clip)) for clip in worst],
        played=PLAYED,
    )


def _model(evaluation: Evaluation) -> str:
    speed = evaluation.real_time_factor
    timed = "" if speed is None else f", real-time factor {speed:.4f}"
    return f"{evaluation.model}: {evaluation.name}, {evaluation.mode}; {evaluation.engine}{timed}"


def _tables(evaluation: Evaluation) -> Iterator[tuple[str, list[Figures]]]:
    """Title and rows of each table that has rows."""
    speakers = evaluation.by_speaker
    more = f" (the {SPEAKERS} worst of {len(speakers)})" if len(speakers) > SPEAKERS else ""
    tables = (
        (f"speaker{more}", speakers[:SPEAKERS]),
        ("length", evaluation.by_length),
        (f"signal to noise ({evaluation.noise})", evaluation.by_noise),
    )
    return ((title, figures) for title, figures in tables if figures)


def _table(title: str, rows: list[Figures]) -> list[str]:
    header = [title, "clips", "words", "hours", "WER % (95 % interval)", "CER % (95 % interval)"]
    cells = [
        [
            row.group,
            row.clips,
            row.words,
            f"{row.hours:.3f}",
            _rate(row.wer, row.wer_interval),
            _rate(row.cer, row.cer_interval),
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _rate(percent: float, interval: tuple[float, float]) -> str:
    return f"{percent:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _confusion(confusion: Confusion | None) -> str:
    if confusion is None:
        return ""
    words = " → ".join(word for word in (confusion.said, confusion.heard) if word)
    return f"{words} ({confusion.times})"


def _aligned_words(clip: Transcript) -> list[tuple[str, str, str]]:
    """Word of the reference, word of the hypothesis, and the CSS class of the pair."""
    return [
        (said, heard, _pair_class(said, heard))
        for said, heard in align(clip.reference, clip.hypothesis)
    ]


def _pair_class(said: str, heard: str) -> str:
    if said == heard:
        return "equal"
    if not said:
        return "insertion"
    return "substitution" if heard else "deletion"


def _player(clip: Transcript) -> str:
    """The first seconds of the clip as a data URI. Every browser plays FLAC."""
    file = io.BytesIO()
    soundfile.write(file, read_audio(clip.audio, RATE)[: PLAYED * RATE], RATE, format="FLAC")
    return data_uri("audio/flac", file.getvalue())


def _picture(title: str, rows: list[Figures]) -> str:
    """WER with its intervals as bars, in an SVG data URI."""
    figure = Figure(figsize=(6, 0.8 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    # Matplotlib refuses negative lengths, and rounding can make them.
    below = [max(0.0, row.wer - row.wer_interval[0]) for row in rows]
    above = [max(0.0, row.wer_interval[1] - row.wer) for row in rows]
    axes.barh(
        range(len(rows)),
        [row.wer for row in rows],
        xerr=(below, above),
        color="#7aa6c2",
        ecolor="#333",
        capsize=3,
    )
    axes.set_yticks(range(len(rows)), [row.group for row in rows], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("WER %, with 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    return svg_uri(figure, title)
