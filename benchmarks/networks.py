"""Times the networks of several streaming .tflite files in turn, so that their ratios are right.

python benchmarks/networks.py MODEL...
"""

from __future__ import annotations

from pathlib import Path

import click
from engines import silent_step
from timing import in_turns, machine, median, table

from ds2edge.runtime.network import Network
from ds2edge.runtime.quiet import quiet_process


@click.command()
@click.argument("paths", metavar="MODEL...", nargs=-1, required=True, type=click.Path())
@click.option("--rounds", default=300, show_default=True, help="Chunks to time of each model.")
def main(paths: tuple[str, ...], rounds: int) -> None:
    """Print processor time and size of each MODEL on one thread."""
    quiet_process()
    networks = {path: Network(path) for path in paths}
    times = in_turns({path: silent_step(networks[path]) for path in paths}, rounds)
    click.echo(f"{machine()}\n")
    click.echo(table([row(path, networks[path], median(times[path])) for path in paths]))


def row(path: str, network: Network, milliseconds: float) -> dict[str, object]:
    """Cells of the table. `milliseconds`: of one chunk."""
    graph = network.graph
    step = network.specification.step_seconds
    return {
        "model": Path(path).stem,
        "MB": f"{Path(path).stat().st_size / 1e6:.2f}",
        "latency, ms": round(1000 * step * (graph.chunk_steps + graph.lookahead)),
        "ms a chunk": f"{milliseconds:.3f}",
        "ms per s of sound": f"{milliseconds / (graph.chunk_steps * step):.3f}",
    }


if __name__ == "__main__":
    main()
