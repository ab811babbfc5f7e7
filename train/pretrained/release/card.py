"""Fills the figures into docs/model-card.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2edge.runtime.commands.info import longest_latency
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import read_text, write_whole
from ds2edge.runtime.specification import read_specification
from ds2edge.train.pretrained.release.release import ARMV7, INT8, ROOT
from ds2edge.train.reports import markdown_table

CARD = ROOT / "docs" / "model-card.md"
BEGIN = "<!-- begin figures: train/pretrained/release writes them, so do not edit them here -->"
END = "<!-- end figures -->"
DECODERS = {"greedy": "greedy", "lm": "`--lm pretrained`"}
WORD_DECODERS = {
    "greedy": "greedy",
    "lm": "`--lm pretrained`",
    "hotwords": "`--hotwords` with the words",
    "lm and hotwords": "both",
    "phrases": "`--phrases` with the words",
    "phrases, none rejected": "the same, `--min-confidence 0`",
}

Results = Mapping[str, Any]


def write(results: Results, page: Path = CARD) -> None:
    """Replaces the text between the two markers of a page. InputError if they are not there."""
    write_whole(page, filled(read_text(page), figures(results), page))


def filled(text: str, block: str, page: Path) -> str:
    """`text` with `block` between the markers."""
    before, found_begin, rest = text.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found_begin or not found_end:
        raise InputError(f"{page}: needs the line {BEGIN!r} and, below it, {END!r}")
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"


def figures(results: Results) -> str:
    """All figures as Markdown."""
    parts = (_files, _accuracy, _precision, _levels, _noise, _single_words, _cost)
    return "\n\n".join("\n".join(part(results)) for part in parts)


def _files(results: Results) -> Iterator[str]:
    paths = [ROOT / "runtime" / name for name in (INT8, ARMV7)]
    yield "### Size and latency"
    yield ""
    rows = []
    for path in paths:
        specification = read_specification(path)
        graph = specification.graph
        if graph is None:
            raise InputError(f"{path}: has no graph: convert it again")
        rows.append(
            [
                f"`runtime/{path.name}`",
                graph.mode,
                f"{path.stat().st_size / 1e6:.2f} MB",
                f"{longest_latency(specification, graph):.0f} ms",
            ]
        )
    yield from markdown_table(["file", "format", "size", "longest latency"], rows)
    yield ""
    yield "The latency is from a sound to its piece, without the computing time."


def _accuracy(results: Results) -> Iterator[str]:
    yield "### Error rates"
    yield ""
    yield "Word error rate of the int8 model in %, with 95 % intervals (bootstrap over clips):"
    yield ""
    sets = {f"dev: {title}": row for title, row in results["accuracy"].items()}
    tests = [row for name, row in results.items() if name.startswith("test-")]
    sets |= {f"test: {row['title']}": row for row in tests if "greedy" in row}
    rows = [
        [title, f"{row['clips']}, {row['words']}", *(_rate(row[each]) for each in DECODERS)]
        for title, row in sets.items()
    ]
    yield from markdown_table(["set", "clips, words", *DECODERS.values()], rows)
    yield ""
    chosen = results["weights"]["chosen"]
    yield "The weight of the language model, the bonus for a word and the penalty for a blank"
    yield f"({chosen}) were chosen on dev, so its column is slightly optimistic there."


def _precision(results: Results) -> Iterator[str]:
    row = results["precision"]
    yield "### What int8 costs"
    yield ""
    yield "WER on all dev clips, greedy, and its difference to float in points (paired):"
    yield ""
    yield from markdown_table(
        ["float", "int8", "32-bit Arm"],
        [[_rate(row["float"]), _difference(row["int8"]), _difference(row["armv7"])]],
    )


def _levels(results: Results) -> Iterator[str]:
    yield "### Level and sample rate"
    yield ""
    clips = results["level"]["clips"]
    yield f"All {clips} dev clips, greedy; differences to the clips as recorded in points (paired)."
    words = {
        row["title"]: row["levels"]["rows"] for row in results.values() if "levels" in row
    }  # single words, if they were looked at
    if words:
        yield "Single words are clips under 2 s:"
    yield ""
    rows = []
    for name, row in {**results["level"]["rows"], **results["rate"]["rows"]}.items():
        cells = [name, _rate(row["greedy"]), _difference(row["difference"])]
        cells.append(_rate(row["first_words"]))
        cells += [_rate(each[name]["greedy"]) if name in each else "" for each in words.values()]
        rows.append(cells)
    header = ["", "WER", "difference", "first words wrong", *(f"WER, {title}" for title in words)]
    yield from markdown_table(header, rows)


def _noise(results: Results) -> Iterator[str]:
    yield "### Noise"
    yield ""
    yield f"{results['noise']['clips']} dev clips, WER by signal-to-noise ratio:"
    yield ""
    rows = [
        [name, *(_rate(row[each]) for each in DECODERS)]
        for name, row in results["noise"]["rows"].items()
    ]
    yield from markdown_table(["", *DECODERS.values()], rows)


def _single_words(results: Results) -> Iterator[str]:
    sets = [row for row in results.values() if "decoders" in row]
    if not sets:
        return
    yield "### Single words"
    yield ""
    yield "No training heard these corpora. The WER also counts words too many:"
    for row in sets:
        yield ""
        rows = [
            [
                WORD_DECODERS[name],
                _rate(cells),
                f"{cells['right']:.1f}",
                f"{100 - cells['right'] - cells['empty']:.1f}",
                f"{cells['empty']:.1f}",
            ]
            for name, cells in row["decoders"].items()
        ]
        title = f"{row['title']}: {row['clips']} clips"
        yield from markdown_table([title, "WER", "right %", "wrong %", "no word %"], rows)


def _cost(results: Results) -> Iterator[str]:
    row = results["speed"]
    yield "### Cost"
    yield ""
    yield "Processor time for a second of audio, on one thread of a shared x86-64 machine, on all"
    yield "dev clips, from the samples to the text:"
    yield ""
    totals = (f"{row[each]['network'] + row[each]['decoder']:.4f} s" for each in DECODERS)
    yield from markdown_table(list(DECODERS.values()), [list(totals)])
    if row["memory"] is not None:
        yield ""
        yield f"The model adds {row['memory']:.0f} MB to a process that has loaded the libraries."


def _rate(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['value']:.2f} ({low:.2f} to {high:.2f})"


def _difference(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['value']:+.2f} ({low:+.2f} to {high:+.2f})"
