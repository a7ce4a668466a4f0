"""Pictures of a run: ROC with its interval, confusion matrix, reliability diagram.

Drawn without a display and without pyplot's global state; the same scores give the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avfd.errors import InputError
from classify.metrics.bootstrap import (
    BootstrapOptions,
    Floats,
    percentile_interval,
    replicate_weights,
)
from classify.metrics.decisions import ECE_BINS, bin_of
from classify.metrics.ranking import Curves, Ranking
from classify.metrics.report import Metric, MetricSet, measure
from classify.metrics.scores import ClipScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Dashes = tuple[float, tuple[float, float]]  # offset, (on, off)

_GREY = "0.6"
_SIDE_INCHES = 4.2
_GRID = np.linspace(0, 1, 101)  # false-alarm rates at which the band is taken
_LEGEND_INSIDE = 2  # curves up to which the legend stands among them
_BANDS = 3  # curves up to which each has its band
_APART = 0.01  # area between two curves below which one hides the other
_DASH, _PERIOD = 4.0, 16.0  # longest dash, longest period: in widths of the curve
_HANDLE = 3.0  # length of a curve in the legend, in letters: a period goes into it
_NAME_INCHES = 0.55  # width that one class of a confusion matrix needs


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write the figure as `stem` with each format's suffix; the paths written."""
    from matplotlib import rc_context

    paths = []
    with rc_context({"svg.hashsalt": "avfd", "svg.fonttype": "none"}):
        for suffix in formats:
            path = stem.with_name(f"{stem.name}.{suffix}")
            # No date in the file: same scores, same bytes.
            metadata: dict[str, str | None] = {"Date": None} if suffix == "svg" else {}
            figure.savefig(path, dpi=150, metadata=metadata)
            paths.append(path)
    return paths


def roc_figure(
    runs: Mapping[str, ClipScores],
    bootstrap: BootstrapOptions | None = None,
    areas: Mapping[str, Metric] | None = None,
) -> Figure:
    """ROC curves over all clips, each with its clustered bootstrap band.

    Curves that lie on each other take turns along the line, a dash each; others are solid.

    Args:
        runs: name → scores of a real/fake run, with both classes.
        bootstrap: of the bands, which more than three curves do without, and of the areas'
            intervals.
        areas: name → AUC, where it has been measured.

    Raises:
        InputError: a run has clips of one class only.
    """
    options = bootstrap or BootstrapOptions()
    below = 0.22 * len(runs) if len(runs) > _LEGEND_INSIDE else 0.0
    figure, axes = _square(
        "False alarms among real clips", "Detected among fake clips", below_inches=below
    )
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    bands = options if len(runs) <= _BANDS else replace(options, replicates=0)
    for name, scores in runs.items():
        _check_both_classes(name, scores)
    rankings = [Ranking.of(s.truth == 1, s.filled[:, 1], s.groups) for s in runs.values()]
    curves = [_rates(r.curves(np.ones((1, len(r.fake)))), 0) for r in rankings]
    styles = _line_styles(curves)
    for index, (name, scores) in enumerate(runs.items()):
        area = (areas or {}).get(name) or measure(scores, options).all.metrics["auc"]
        label, colour = f"{name}: AUC {area}", f"C{index}"
        axes.plot(*curves[index], color=colour, linewidth=1.5, linestyle=styles[index], label=label)
        if bands.replicates and len(set(scores.groups)) > 1:
            low, high = _band(rankings[index], scores.groups, bands)
            axes.fill_between(_GRID, low, high, color=colour, alpha=0.15, linewidth=0)
    if below:
        figure.legend(
            loc="outside lower left", frameon=False, fontsize="small", handlelength=_HANDLE
        )
    else:
        axes.legend(loc="lower right", frameon=False, fontsize="small", handlelength=_HANDLE)
    return figure


def _check_both_classes(name: str, scores: ClipScores) -> None:
    if not scores.is_deepfake or len(set(scores.labels)) < 2:
        raise InputError(
            "a ROC curve needs real and fake clips",
            where=name,
            found=", ".join(sorted(set(scores.labels))) or "no clip",
        )


def _line_styles(curves: Sequence[tuple[Floats, Floats]]) -> list[str | Dashes]:
    """Solid where a curve has its own way, else dashes in the gaps of those it lies on."""
    heights = [np.interp(_GRID, *curve) for curve in curves]
    firsts: list[int] = []  # of each curve, the first of those that lie together
    for index, height in enumerate(heights):
        near = (i for i in range(index) if np.abs(heights[i] - height).mean() < _APART)
        along = next(near, None)
        firsts.append(index if along is None else firsts[along])
    styles: list[str | Dashes] = []
    for index, first in enumerate(firsts):
        together, turn = firsts.count(first), firsts[:index].count(first)
        dash = min(_DASH, _PERIOD / together)
        gaps = (together - 1) * dash
        styles.append(((-turn % together) * dash, (dash, gaps)) if gaps else "-")
    return styles


def _band(
    ranking: Ranking, groups: Sequence[str], options: BootstrapOptions
) -> tuple[Floats, Floats]:
    """Ends of the interval of the detection rate at each false-alarm rate of _GRID."""
    drawn = []
    for weights in replicate_weights(groups, options):
        curves = ranking.curves(weights)
        both = np.flatnonzero((curves.fakes > 0) & (curves.reals > 0))
        drawn += [np.interp(_GRID, *_rates(curves, row)) for row in both.tolist()]
    columns = np.array(drawn).T
    ends = [percentile_interval(column, options.level) or (0.0, 1.0) for column in columns]
    low, high = np.array(ends).T if ends else (np.zeros(len(_GRID)), np.ones(len(_GRID)))
    return low, high


def _rates(curves: Curves, row: int) -> tuple[Floats, Floats]:
    alarms, hits = curves.alarms[row], curves.hits[row]
    return alarms / alarms[-1], hits / hits[-1]


def confusion_figure(metrics: MetricSet, classes: Sequence[str]) -> Figure:
    """The confusion matrix: counts as text, shares of the true class as shade."""
    counts = np.array(metrics.confusion, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    side = max(_SIDE_INCHES, 1.6 + _NAME_INCHES * len(classes))
    figure, axes = _square("Called", "True class", side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=45 if len(classes) > 4 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    for true, called in np.ndindex(*counts.shape):
        colour = "white" if shares[true, called] > 0.5 else "black"
        text = f"{counts[true, called]:.0f}"
        axes.text(called, true, text, ha="center", va="center", color=colour)
    return figure


def reliability_figure(scores: ClipScores) -> Figure:
    """Share of fakes among the covered clips of each bin of P(fake), beside the ideal line.

    A dot's area shows how many clips its bin holds; the bins are those of the calibration error.
    """
    p_fake, fake = scores.probabilities[scores.covered, 1], scores.truth[scores.covered] == 1
    bins = bin_of(p_fake)
    counts = np.bincount(bins, minlength=ECE_BINS)
    there = counts > 0
    means = np.bincount(bins, weights=p_fake, minlength=ECE_BINS)[there] / counts[there]
    shares = np.bincount(bins, weights=fake, minlength=ECE_BINS)[there] / counts[there]
    figure, axes = _square("Mean P(fake) of the bin", "Share of fakes in the bin")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    axes.plot(means, shares, color="C0", linewidth=1)
    axes.scatter(means, shares, s=20 + 180 * counts[there] / counts.max(initial=1), color="C0")
    return figure


def _square(
    x_label: str, y_label: str, side_inches: float = _SIDE_INCHES, below_inches: float = 0.0
) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(side_inches, side_inches + below_inches), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x_label, ylabel=y_label, aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
