"""The results of a check as text and as histograms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.check import Check
from ds2edge.train.data.manifest import SPLITS
from ds2edge.train.files import make_folder

NAMED = 5  # clips of a finding that are named; the others are counted
MAX_CHARACTERS = 30  # dropped characters that are listed
PICTURES = (".png", ".svg", ".pdf")
COLOURS = {"train": "tab:blue", "dev": "tab:orange", "test": "tab:green"}


def lines(check: Check, name_all: bool = False) -> Iterator[str]:
    """Yields the lines of the report. `name_all`: name all clips of a finding, not just five."""
    yield from _table(check)
    forms = [f"{form} ({count})" for form, count in check.forms.most_common()]
    yield f"audio   {', '.join(forms) or 'none'}"
    yield ""
    yield from _dropped_characters(check)
    for finding, clips in check.findings.items():
        if clips:
            named = clips if name_all else clips[:NAMED]
            yield ""
            kind = "error" if finding.is_error else "remark"
            yield f"{kind}: {finding.value}: {len(clips)}"
            yield from (f"    {clip}" for clip in named)
            if len(clips) > len(named):
                yield f"    and {len(clips) - len(named)} more: --all names them"
    if not any(check.findings.values()):
        yield ""
        yield "no problems found"


def _table(check: Check) -> Iterator[str]:
    yield (
        f"{'':8}{'clips':>9}{'hours':>9}{'speakers':>10}"
        f"{'shortest':>10}{'median':>9}{'longest':>9} s"
    )
    for split in SPLITS:
        seconds = check.durations.get(split)
        if seconds:
            speakers = len(check.speakers[split] - {""})
            yield (
                f"{split:8}{len(seconds):9}{sum(seconds) / 3600:9.2f}{speakers:10}"
                f"{min(seconds):10.2f}{np.median(seconds):9.2f}{max(seconds):9.2f}"
            )


def _dropped_characters(check: Check) -> Iterator[str]:
    total = sum(check.dropped.values())
    yield f"{total} characters dropped by the normaliser, {len(check.dropped)} different ones"
    for character, count in check.dropped.most_common(MAX_CHARACTERS):
        example = _around(check.examples[character], character)
        yield f"{count:9} {character} U+{ord(character):04X}  {example!r}"


def _around(text: str, character: str) -> str:
    """The part of `text` around the first place of `character`."""
    place = max(text.lower().find(character), 0)
    return text[max(place - 20, 0) : place + 20]


def require_plottable(path: Path) -> None:
    """InputError if a picture cannot be written to `path`."""
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"{path}: no kind of picture: end it in one of {', '.join(PICTURES)}")
    make_folder(path.parent)
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name the picture to write")


def plot(check: Check, path: Path) -> None:
    """Draws histograms of durations, letters per second and levels, by split.

    InputError if the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = (
        ("duration of a clip, s", check.durations),
        ("letters per second", check.letter_rates),
        ("level, dBFS", check.levels),
    )
    for axes, (label, values) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.set(xlabel=label, ylabel="clips")
        splits = [split for split in SPLITS if values.get(split)]
        if splits:
            axes.hist(
                [values[split] for split in splits],
                bins=50,
                stacked=True,
                label=splits,
                color=[COLOURS[split] for split in splits],
            )
            axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot write the picture ({reason})") from None
