"""Reports of a parity measurement: Markdown, JSON and a single HTML page with plots."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from math import lcm
from pathlib import Path

from ds2edge.convert.inspection import Inspection
from ds2edge.convert.parity.figures import Comparison, ModelFigures, Parity
from ds2edge.convert.parity.plots import cost_plot, error_plot, noise_plot
from ds2edge.convert.parity.word_changes import WordPair
from ds2edge.runtime.files import write_whole
from ds2edge.train.reports import left_out_list, markdown_table, render_page

# Changed clips that are shown of each model. The JSON has all.
CLIPS_IN_MARKDOWN = 10
CLIPS_IN_HTML = 50

ERROR_COLUMNS = (
    "model",
    "WER % (95 % interval)",
    "difference to float (paired)",
    "CER % (95 % interval)",
    "frame agreement %",
)
COST_COLUMNS = (
    "model",
    "steps per chunk",
    "size MB",
    "size / float",
    "ms per s of audio",
    "speedup",
    "peak memory MB",
)
# How a changed word is judged, by WordPair.right.
JUDGEMENTS = {
    "float": "float right",
    "other": "float wrong",
    "neither": "both wrong",
    "both": "both right",
}


def write_report(parity: Parity, folder: Path) -> None:
    """Writes parity.json, .md and .html into `folder`. No file is ever half written.

    InputError if a file cannot be written.
    """
    write_whole(folder / "parity.json", to_json(parity))
    write_whole(folder / "parity.md", "# Parity\n\n" + markdown(parity))
    write_whole(folder / "parity.html", html(parity))


def to_json(parity: Parity) -> str:
    """Every figure, the names of the models that failed, and the noisiest stage of each model."""
    record = dataclasses.asdict(parity)
    record["failed"] = [comparison.model.name for comparison in parity.failed]
    for comparison, values in zip(parity.comparisons, record["comparisons"], strict=True):
        values["noisiest"] = comparison.noisiest
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(parity: Parity) -> str:
    """The measurement as tables of text."""
    names = [model.name for model in parity.models]
    levels = [[stage, *(_level(c, stage) for c in parity.comparisons)] for stage in parity.stages]
    contents = [[kind, *cells] for kind, cells in _contents(parity)]
    lines = [
        f"{_basis(parity)}; {_verdict(parity)}",
        "",
        *markdown_table(ERROR_COLUMNS, [_errors(*row) for row in parity.rows]),
        "",
        *markdown_table(COST_COLUMNS, [_costs(*row) for row in parity.rows]),
        "",
        *markdown_table(["signal to noise, dB", *names[1:]], levels),
        "",
        *(f"- {c.model.name}: {_noise(c, parity)}" for c in parity.comparisons),
        "",
        *markdown_table(["contents", *names], contents),
    ]
    for comparison in parity.comparisons:
        lines += ["", f"{comparison.model.name}: {_changes(comparison)}", *_changed(comparison)]
    return "\n".join(lines + left_out_list(parity.left_out)) + "\n"


def html(parity: Parity) -> str:
    """One page that needs no other file and no network."""
    return render_page(
        "ds2edge.convert",
        "parity.html.j2",
        parity=parity,
        basis=_basis(parity),
        verdict=_verdict(parity),
        noises=[_noise(comparison, parity) for comparison in parity.comparisons],
        changes=[_changes(comparison) for comparison in parity.comparisons],
        contents=list(_contents(parity)),
        shown=CLIPS_IN_HTML,
        error_plot=error_plot(parity),
        noise_plot=noise_plot(parity),
        cost_plot=cost_plot(parity),
    )


def _basis(parity: Parity) -> str:
    """What was measured on what."""
    audio = f"{parity.clips} clips, {parity.words} words, {parity.seconds:g} s"
    return f"{audio}; {parity.engine}, one thread"


def _verdict(parity: Parity) -> str:
    failed = ", ".join(comparison.model.name for comparison in parity.failed)
    result = f"failed by {failed}" if failed else "passed by all"
    return f"WER may rise by {parity.max_wer_increase:g} points: {result}"


def _errors(model: ModelFigures, comparison: Comparison | None) -> list[str]:
    difference = agreement = ""
    if comparison:
        difference = _rate(comparison.wer_increase, comparison.wer_increase_interval, "+")
        agreement = f"{comparison.frame_agreement:.2f}"
    wer = _rate(model.wer, model.wer_interval)
    cer = _rate(model.cer, model.cer_interval)
    return [model.name, wer, difference, cer, agreement]


def _rate(value: float, interval: tuple[float, float], sign: str = "") -> str:
    low, high = interval
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def _costs(model: ModelFigures, comparison: Comparison | None) -> list[str]:
    return [
        model.name,
        str(model.chunk_steps),
        f"{model.bytes / 1e6:.2f}",
        f"{comparison.size_ratio:.2f}" if comparison else "",
        f"{1000 * model.real_time_factor:.2f}",
        f"{comparison.speedup:.2f}" if comparison else "",
        "unknown" if model.peak_memory is None else f"{model.peak_memory:.1f}",
    ]


def _contents(parity: Parity) -> Iterator[tuple[str, list[str]]]:
    """Rows about what is inside each model: a name, and a cell for each model."""
    inspections = [model.inspection for model in parity.models]
    yield "float tensors", [str(model.float_tensors) for model in inspections]
    yield "delegate partitions", [str(model.partitions) for model in inspections]
    yield "operations", [str(sum(model.operations.values())) for model in inspections]
    yield "outside the delegate", [str(sum(model.outside.values())) for model in inspections]
    for kind in parity.operations:
        yield kind, [_operations(model, kind) for model in inspections]


def _operations(model: Inspection, kind: str) -> str:
    outside = f" ({model.outside[kind]} outside)" if kind in model.outside else ""
    return f"{model.operations.get(kind, 0)}{outside}"


def _level(comparison: Comparison, stage: str) -> str:
    if stage not in comparison.signal_to_noise:
        return "not compared"
    level = comparison.signal_to_noise[stage]
    if level is None:
        return "no noise"
    drop = f" ({-comparison.drops[stage]:+.1f})" if stage in comparison.drops else ""
    text = f"{level:.1f}{drop}"
    return f"**{text}**" if stage == comparison.noisiest else text


def _noise(comparison: Comparison, parity: Parity) -> str:
    """Which stage adds the noise, and which stages were compared."""
    stage = comparison.noisiest
    drops = comparison.drops
    text = f"{stage} adds the most noise" if stage else "no noise at any stage"
    deepest = max(drops, key=lambda name: drops[name], default=None)
    if deepest and drops[deepest] > 0:
        text += (
            f"; the largest drop is at {deepest}: {drops[deepest]:.1f} dB below the stage before"
        )
    return text + _chunk_note(comparison, parity)


def _chunk_note(comparison: Comparison, parity: Parity) -> str:
    """What unequal chunk lengths mean for the comparison of states. Empty if nothing."""
    own = comparison.model.chunk_steps
    reference = parity.reference.chunk_steps
    if comparison.not_compared:
        return (
            f"; not compared: {', '.join(comparison.not_compared)}, as no clip is long enough "
            f"for chunks of {own} steps and float's of {reference} to end together"
        )
    if own != reference and comparison.model.direction == "forward":
        return (
            f"; all stages but the logits are compared every {lcm(own, reference)} steps, "
            f"where chunks of {own} steps and float's of {reference} end together"
        )
    return ""


def _changes(comparison: Comparison) -> str:
    """How many clips and words changed, and how the changes are judged."""
    clips = len(comparison.changed)
    if not clips:
        return "the same text as float for every clip"
    counts = Counter(pair.right for clip in comparison.changed for pair in clip.changed)
    kinds = {
        "float": "only float is right",
        "other": f"only {comparison.model.mode} is right",
        "neither": "neither is right",
        "both": "both are right",
    }
    words = ", ".join(
        f"{counts[right]} where {kind}" for right, kind in kinds.items() if counts[right]
    )
    return f"{clips} clip{'s' if clips > 1 else ''} with a different text; changed words: {words}"


def _changed(comparison: Comparison) -> list[str]:
    """The changed clips as a Markdown table; no lines if there are none."""
    if not comparison.changed:
        return []
    rows = [
        [clip.said, ", ".join(map(_pair, clip.changed))]
        for clip in comparison.changed[:CLIPS_IN_MARKDOWN]
    ]
    return ["", *markdown_table(["said", f"float → {comparison.model.mode}"], rows)]


def _pair(pair: WordPair) -> str:
    """A changed word, and which model is right."""
    return f"{pair.float or '—'} → {pair.other or '—'} ({JUDGEMENTS[pair.right]})"
