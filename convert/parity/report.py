"""A parity measurement as Markdown, JSON, and one HTML file with plots."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from math import lcm
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ds2edge.convert.inspection import Inspection
from ds2edge.convert.parity.measure import Comparison, ModelFigures, Parity
from ds2edge.convert.parity.plots import cost_plot, error_plot, noise_plot
from ds2edge.convert.parity.word_changes import WordPair
from ds2edge.train.files import write_whole

# Changed clips shown of each model; the JSON has all.
IN_MARKDOWN = 10
IN_HTML = 50


def write_report(parity: Parity, folder: Path) -> None:
    """Writes parity.md, .json and .html into `folder`; each appears whole or not at all. InputError if one cannot."""
    write_whole(folder / "parity.json", to_json(parity))
    write_whole(folder / "parity.md", "# Parity\n\n" + markdown(parity))
    write_whole(folder / "parity.html", html(parity))


def to_json(parity: Parity) -> str:
    """All of it, and what follows from it: the models that failed, the stage of each that adds most noise."""
    record = dataclasses.asdict(parity) | {
        "failed": [comparison.model.name for comparison in parity.failed]
    }
    for comparison, values in zip(parity.comparisons, record["comparisons"], strict=True):
        values["noisiest"] = comparison.noisiest
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(parity: Parity) -> str:
    """Tables for people, with what each figure was measured on."""
    compared = [None, *parity.comparisons]
    lines = [
        f"{_basis(parity)}; {_verdict(parity)}",
        "",
        "| model | WER % (95 % interval) | difference to float (paired) | CER % (95 % interval) | frame agreement % |",
        "|---|---|---|---|---|",
        *(
            _errors(model, comparison)
            for model, comparison in zip(parity.models, compared, strict=True)
        ),
        "",
        "| model | steps a chunk | size MB | of float's | ms for 1 s of sound | times as fast | peak memory MB |",
        "|---|---|---|---|---|---|---|",
        *(
            _costs(model, comparison)
            for model, comparison in zip(parity.models, compared, strict=True)
        ),
        "",
        f"| signal to noise, dB | {' | '.join(comparison.model.name for comparison in parity.comparisons)} |",
        f"|---|{'---|' * len(parity.comparisons)}",
        *(
            f"| {stage} | {' | '.join(_level(c, stage) for c in parity.comparisons)} |"
            for stage in parity.stages
        ),
        "",
        *(
            f"- {comparison.model.name}: {_noise(comparison, parity)}"
            for comparison in parity.comparisons
        ),
        "",
        f"| inside | {' | '.join(model.name for model in parity.models)} |",
        f"|---|{'---|' * len(parity.models)}",
        *(_row([what, *cells]) for what, cells in _inside(parity)),
    ]
    for comparison in parity.comparisons:
        lines += ["", f"{comparison.model.name}: {_changes(comparison)}"]
        if comparison.changed:
            lines += ["", f"| said | float → {comparison.model.mode} |", "|---|---|"]
        for clip in comparison.changed[:IN_MARKDOWN]:
            lines.append(f"| {clip.said} | {', '.join(map(_pair, clip.changed))} |")
    if parity.left_out:
        lines += [
            "",
            f"clips left out: {len(parity.left_out)}",
            "",
            *(f"- {problem}" for problem in parity.left_out),
        ]
    return "\n".join(lines) + "\n"


def html(parity: Parity) -> str:
    """One page that needs no other file and no network."""
    environment = Environment(
        loader=PackageLoader("ds2edge.convert"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("parity.html.j2").render(
        parity=parity,
        basis=_basis(parity),
        verdict=_verdict(parity),
        rows=list(zip(parity.models, [None, *parity.comparisons], strict=True)),
        noises=[_noise(comparison, parity) for comparison in parity.comparisons],
        changes=[_changes(comparison) for comparison in parity.comparisons],
        inside=list(_inside(parity)),
        shown=IN_HTML,
        error_plot=error_plot(parity),
        noise_plot=noise_plot(parity),
        cost_plot=cost_plot(parity),
    )


def _basis(parity: Parity) -> str:
    return f"{parity.clips} clips, {parity.words} words, {parity.seconds:g} s; {parity.engine}, one thread"


def _verdict(parity: Parity) -> str:
    failed = ", ".join(comparison.model.name for comparison in parity.failed)
    return f"WER may rise by {parity.max_wer_increase:g} points: {f'failed by {failed}' if failed else 'passed by all'}"


def _errors(model: ModelFigures, comparison: Comparison | None) -> str:
    (low, high), (cer_low, cer_high) = model.wer_interval, model.cer_interval
    cells = [
        model.name,
        f"{model.wer:.2f} ({low:.2f} to {high:.2f})",
        "",
        f"{model.cer:.2f} ({cer_low:.2f} to {cer_high:.2f})",
        "",
    ]
    if comparison:
        low, high = comparison.wer_increase_interval
        cells[2] = f"{comparison.wer_increase:+.2f} ({low:+.2f} to {high:+.2f})"
        cells[4] = f"{comparison.frame_agreement:.2f}"
    return _row(cells)


def _costs(model: ModelFigures, comparison: Comparison | None) -> str:
    return _row(
        [
            model.name,
            str(model.chunk_steps),
            f"{model.bytes / 1e6:.2f}",
            f"{comparison.size_ratio:.2f}" if comparison else "",
            f"{1000 * model.real_time_factor:.2f}",
            f"{comparison.speedup:.2f}" if comparison else "",
            "unknown" if model.peak_memory is None else f"{model.peak_memory:.1f}",
        ]
    )


def _inside(parity: Parity) -> Iterator[tuple[str, list[str]]]:
    """What the models consist of, row by row, and how the delegate takes it."""
    inside = [model.inspection for model in parity.models]
    yield "float tensors", [str(model.float_tensors) for model in inside]
    yield "delegate partitions", [str(model.partitions) for model in inside]
    yield "operations", [str(sum(model.operations.values())) for model in inside]
    yield "outside of the delegate", [str(sum(model.outside.values())) for model in inside]
    for kind in parity.operations:
        yield kind, [_operations(model, kind) for model in inside]


def _operations(model: Inspection, kind: str) -> str:
    outside = f" ({model.outside[kind]} outside)" if kind in model.outside else ""
    return f"{model.operations.get(kind, 0)}{outside}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
    """Which stage is to blame, and what could not be compared."""
    stage, drops = comparison.noisiest, comparison.drops
    said = f"{stage} adds the most noise" if stage else "no noise at any stage"
    deepest = max(drops, key=lambda name: drops[name], default=None)
    if deepest and drops[deepest] > 0:
        said += (
            f"; the largest drop is at {deepest}: {drops[deepest]:.1f} dB below the stage before"
        )
    steps = parity.reference.chunk_steps, comparison.model.chunk_steps
    if comparison.not_compared:
        said += (
            f"; not compared: {', '.join(comparison.not_compared)}, as no clip is long enough for chunks of "
            f"{steps[1]} steps and float's of {steps[0]} to end together"
        )
    elif steps[0] != steps[1] and comparison.model.direction == "forward":
        said += (
            f"; all but the logits compared every {lcm(*steps)} steps, where chunks of {steps[1]} and float's of "
            f"{steps[0]} end together"
        )
    return said


def _changes(comparison: Comparison) -> str:
    """How many clips and words changed, and to what good."""
    if not comparison.changed:
        return "says the same as float on every clip"
    counts = Counter(pair.right for clip in comparison.changed for pair in clip.changed)
    kinds = {
        "float": "float alone has right",
        "other": f"{comparison.model.mode} alone has right",
        "neither": "neither has right",
        "both": "both have right",
    }
    words = ", ".join(
        f"{counts[right]} that {kind}" for right, kind in kinds.items() if counts[right]
    )
    clips = len(comparison.changed)
    return f"{clips} clip{'s' if clips > 1 else ''} with another text; words that changed: {words}"


def _pair(pair: WordPair) -> str:
    """A word that changed, and which of the two is right."""
    rights = {
        "float": "float right",
        "other": "float wrong",
        "neither": "both wrong",
        "both": "both right",
    }
    return f"{pair.float or '—'} → {pair.other or '—'} ({rights[pair.right]})"
