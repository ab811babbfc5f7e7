"""What `check` found, as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ds2edge.runtime.errors import InputError
from ds2edge.train.data.check import ERRORS, REMARKS, Check
from ds2edge.train.data.manifest import SPLITS

NAMED = 5  # clips of a finding, and then the number of the others
MOST_CHARACTERS = 30
COLOURS = {"train": "tab:blue", "dev": "tab:orange", "test": "tab:green"}


def lines(check: Check, every: bool = False) -> Iterator[str]:
    """The report. `every`: name all clips of a finding, not the first five."""
    yield f"{'':8}{'clips':>9}{'hours':>9}{'speakers':>10}{'shortest':>10}{'median':>9}{'longest':>9} s"
    for split in SPLITS:
        seconds = check.durations.get(split)
        if seconds:
            yield (
                f"{split:8}{len(seconds):9}{sum(seconds) / 3600:9.2f}{len(check.speakers[split] - {''}):10}"
                f"{min(seconds):10.2f}{np.median(seconds):9.2f}{max(seconds):9.2f}"
            )
    yield "audio   " + (
        ", ".join(f"{form} ({count})" for form, count in check.forms.most_common()) or "none"
    )
    yield ""
    yield f"{sum(check.dropped.values())} characters dropped by the normaliser, {len(check.dropped)} different ones"
    for character, count in check.dropped.most_common(MOST_CHARACTERS):
        yield f"{count:9} {character} U+{ord(character):04X}  {_around(check.examples[character], character)!r}"
    for kind in ERRORS + REMARKS:
        found = check.found[kind]
        if found:
            yield ""
            yield f"{'error' if kind in ERRORS else 'remark'}: {kind}: {len(found)}"
            yield from (f"    {line}" for line in (found if every else found[:NAMED]))
            if not every and len(found) > NAMED:
                yield f"    and {len(found) - NAMED} more: --all names them"
    if not any(check.found.values()):
        yield ""
        yield "nothing to remark"


def plot(check: Check, path: Path) -> None:
    """Histograms of lengths, letters per second and levels, by split. InputError if the picture cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = (
        ("length of a clip, s", check.durations),
        ("letters per second", check.rates),
        ("level, dBFS", check.levels),
    )
    for axes, (what, values) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.set(xlabel=what, ylabel="clips")
        splits = [split for split in SPLITS if values.get(split)]
        if splits:
            colours = [COLOURS[split] for split in splits]
            axes.hist(
                [values[split] for split in splits],
                bins=50,
                stacked=True,
                label=splits,
                color=colours,
            )
            axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot write the picture ({getattr(error, 'strerror', None) or error})"
        ) from None


def _around(text: str, character: str) -> str:
    """The words of `text` about the first place where `character` was dropped."""
    place = max(text.lower().find(character), 0)
    return text[max(place - 20, 0) : place + 20]
