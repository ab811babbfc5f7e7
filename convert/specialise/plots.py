"""Plots of the report of a specialised model, as SVG data URIs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ds2edge.convert.specialise.figures import Rates
from ds2edge.convert.specialise.threshold import POINTS, Threshold
from ds2edge.train.reports import svg_uri

COLOURS = {"understood": "#3b8c5a", "misunderstood": "#b3261e", "rejected": "#c9ccd1"}


def rates_plot(rates: Sequence[Rates], name: str) -> str:
    """A bar for each group, divided into understood, misunderstood and rejected."""
    figure = Figure(figsize=(9, 0.9 + 0.32 * len(rates)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(rates))
    for outcome, colour in COLOURS.items():
        widths = np.array([getattr(group, outcome) for group in rates])
        axes.barh(range(len(rates)), widths, left=left, color=colour, height=0.7, label=outcome)
        left += widths
    axes.set_yticks(range(len(rates)), [group.name for group in rates], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the clips")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return svg_uri(figure, name)


def threshold_plot(threshold: Threshold) -> str:
    """What each least confidence accepts, of phrases and of similar sentences."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    points = np.linspace(0, 1, POINTS)
    axes.plot(points, threshold.understood, color=COLOURS["understood"], label="phrases understood")
    axes.plot(
        points,
        threshold.similar_accepted,
        color=COLOURS["misunderstood"],
        label="similar sentences accepted",
    )
    axes.axvline(threshold.value, color="#222", linewidth=1, linestyle="--", label="chosen")
    axes.axvline(
        threshold.for_other_speech, color="#8a8f98", linewidth=1, label="least for other speech"
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 101)
    axes.set_xlabel("least confidence")
    axes.set_ylabel("%")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return svg_uri(figure, "threshold")
