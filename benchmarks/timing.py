"""What is timed, in turns; and how it is told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import numpy as np

from ds2edge.train.run import Run

INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
)


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, round by round, the ways taking turns.

    Of processor time: what else runs on the machine counts less. Each runs twice and the second time counts, with its
    own weights in the cache, as in a stream that is caught up with.
    """
    click.echo(f"timing: {len(ways)} ways, {rounds} rounds", err=True)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            way()
            started = time.process_time()
            way()
            times[name].append(1000 * (time.process_time() - started))
    return times


def median(times: list[float]) -> float:
    """Milliseconds, as printed."""
    return round(float(np.median(times)), 3)


def ratio(times: list[float], to: list[float]) -> float:
    """Median of the ratios, round by round: what slows a round down slows both."""
    return round(float(np.median(np.divide(times, to))), 3)


def heading(run: Run, what: str) -> str:
    """Two lines: the network and `what` was done with it, the machine."""
    settings = run.recipe.model
    return f"{settings.depth} x {settings.cell.upper()}-{settings.width}, {what}, one thread\n{machine()}"


def machine() -> str:
    """The processor, and which of the instructions that matter to int8 it has: with VNNI or DP int8 gains most."""
    found = dict(
        re.findall(
            r"^(model name|flags|Features)\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M
        )
    )
    flags = (found.get("flags") or found.get("Features") or "").split()
    has = ", ".join(flag for flag in INSTRUCTIONS if flag in flags) or "none"
    return f"{found.get('model name', 'unknown')} (of {', '.join(INSTRUCTIONS)}: {has})"


def table(rows: list[dict[str, object]]) -> str:
    """Rows of the same keys as a Markdown table; None is left empty."""
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in (list(rows[0]), ["---"] * len(rows[0]), *cells)
    )


def tell_missed(missed: list[str]) -> None:
    """Ends the process with exit code 1 and a line for every target that was missed, if any was."""
    for line in missed:
        click.echo(f"target missed: {line}")
    if missed:
        raise SystemExit(1)
    click.echo("all targets met")
