"""Times functions in turn, and prints the results."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import numpy as np

from ds2edge.train.reports import markdown_table
from ds2edge.train.run import Run

# Instructions of x86-64 and of 64-bit Arm that matter to int8, as /proc/cpuinfo names them.
INSTRUCTIONS = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"),
    *("asimd", "asimddp", "i8mm"),
)


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of each function, round by round.

    The functions take turns. Each one runs twice in its turn and the second run counts: its
    weights are then in the cache, as they are in a stream that keeps up with the audio. Processor
    time depends little on other programs.
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
    """Median in milliseconds, rounded for printing."""
    return round(float(np.median(times)), 3)


def ratio(times: list[float], reference: list[float]) -> float:
    """Median of the ratios round by round. What slows one round down slows both."""
    return round(float(np.median(np.divide(times, reference))), 3)


def heading(run: Run, what: str) -> str:
    """Two lines: the network with `what` was done, and the machine."""
    settings = run.recipe.model
    network = f"{settings.depth} x {settings.layer_kind.upper()}-{settings.width}"
    return f"{network}, {what}, one thread\n{machine()}"


def machine() -> str:
    """The processor and its instructions for int8. With VNNI or dot products int8 gains most."""
    pattern = r"^(model name|flags|Features)\s*:\s*(.*)$"
    fields = dict(re.findall(pattern, Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    present = ", ".join(flag for flag in INSTRUCTIONS if flag in flags) or "none"
    return f"{fields.get('model name', 'unknown')} (of {', '.join(INSTRUCTIONS)}: {present})"


def print_missed(missed: list[str]) -> None:
    """Prints a line for each missed target. Ends the process with exit code 1 if there is one."""
    for line in missed:
        click.echo(f"target missed: {line}")
    if missed:
        raise SystemExit(1)
    click.echo("all targets met")


def table(rows: list[dict[str, object]]) -> str:
    """Rows with the same keys as a Markdown table. None is an empty cell."""
    cells = [["" if value is None else value for value in row.values()] for row in rows]
    return "\n".join(markdown_table(list(rows[0]), cells))
