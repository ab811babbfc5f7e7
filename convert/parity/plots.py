"""Plots of a parity measurement, as SVG data URIs. The same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ds2edge.convert.parity.figures import Parity
from ds2edge.train.reports import svg_uri

FLOAT_COLOUR = "#8a8f98"
LIMIT_COLOUR = "#b3261e"
MAX_HORIZONTAL_NAMES = 8  # names of stages; more would overlap, so they are turned
COLOURS = ("#2f6f9f", "#d9822b", "#3b8c5a", "#a0476a", "#6b5bb3", "#937a2f", "#4fa3a5", "#b5483a")


def error_plot(parity: Parity) -> str:
    """WER of each model with its interval, and the highest WER that passes."""
    models = parity.models
    figure = Figure(figsize=(9, 1 + 0.45 * len(models)), layout="constrained")
    axes = figure.subplots()
    for row, (model, colour) in enumerate(zip(models, _colours(parity), strict=True)):
        low, high = model.wer_interval
        axes.plot(
            [low, high], [row, row], color=colour, linewidth=6, alpha=0.35, solid_capstyle="round"
        )
        axes.plot(model.wer, row, "o", color=colour, markersize=8)
        axes.annotate(
            f"{model.wer:.2f}", (model.wer, row), (0, 8), textcoords="offset points", ha="center"
        )
    limit = parity.reference.wer + parity.max_wer_increase
    axes.axvline(parity.reference.wer, color=FLOAT_COLOUR, linewidth=1)
    axes.axvline(limit, color=LIMIT_COLOUR, linewidth=1, linestyle="--")
    axes.annotate(
        f" float + {parity.max_wer_increase:g}",
        (limit, 1),
        xycoords=("data", "axes fraction"),
        va="bottom",
        color=LIMIT_COLOUR,
        fontsize=9,
    )
    _name_rows(axes, parity)
    axes.set_ylim(len(models) - 0.5, -0.7)
    axes.set_xlabel("WER %, with 95 % interval")
    return svg_uri(figure, "errors")


def noise_plot(parity: Parity) -> str:
    """Signal-to-noise ratio by stage, one line per model. Stages without noise have no point."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    stages = parity.stages
    for comparison, colour in zip(parity.comparisons, _colours(parity)[1:], strict=True):
        levels = [comparison.signal_to_noise.get(stage) for stage in stages]
        points = [float("nan") if level is None else level for level in levels]
        axes.plot(range(len(stages)), points, "o-", color=colour, label=comparison.model.name)
    axes.set_xticks(range(len(stages)), stages, parse_math=False)
    if len(stages) > MAX_HORIZONTAL_NAMES:
        axes.tick_params(axis="x", labelrotation=90)
    axes.set_xlim(-0.3, len(stages) - 0.7)
    axes.set_ylabel("signal to noise, dB")
    axes.grid(axis="y", color="#e4e4e4")
    axes.spines[["top", "right"]].set_visible(False)
    for text in axes.legend(frameon=False).get_texts():
        text.set_parse_math(False)
    return svg_uri(figure, "noise")


def cost_plot(parity: Parity) -> str:
    """Size, time and memory of each model."""
    models = parity.models
    figure = Figure(figsize=(9, 1 + 0.4 * len(models)), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    _bars(left, parity, "size, MB", [model.bytes / 1e6 for model in models])
    _bars(middle, parity, "ms per s of audio", [1000 * model.real_time_factor for model in models])
    _bars(right, parity, "peak memory, MB", [model.peak_memory for model in models])
    _name_rows(left, parity)
    left.invert_yaxis()
    return svg_uri(figure, "costs")


def _bars(axes: Axes, parity: Parity, title: str, values: Sequence[float | None]) -> None:
    bars = axes.barh(
        range(len(values)), [value or 0 for value in values], color=_colours(parity), height=0.6
    )
    labels = [
        "unknown" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"
        for value in values
    ]
    axes.bar_label(bars, labels, padding=4)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlim(0, 1.3 * max((value or 0 for value in values), default=0) or 1)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(left=False)


def _name_rows(axes: Axes, parity: Parity) -> None:
    axes.set_yticks(
        range(len(parity.models)), [model.name for model in parity.models], parse_math=False
    )
    axes.spines[["top", "right"]].set_visible(False)


def _colours(parity: Parity) -> list[str]:
    """One colour for each model, the float model first. They are the same in every plot."""
    return [
        FLOAT_COLOUR,
        *(COLOURS[number % len(COLOURS)] for number in range(len(parity.comparisons))),
    ]
