"""The fine-grained detector's maps: over the face, and how far apart real and fake clips are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classify.metrics.bootstrap import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

CELL_INCHES = 1.5
COLOURS = {"real": "C0", "fake": "C3"}
BINS, FEW_BINS = 20, 5
HEAT = "inferno"
SHINE = 0.55  # how much of the heat lies over the face


@dataclass(frozen=True)
class Heats:
    """One row of a figure: a face and what lies over it.

    Attributes:
        title: what it is of, a line or two.
        face: uint8 [rows, columns, 3].
        maps: name → [height, width]; see `maps_figure` for their colours.
    """

    title: str
    face: NDArray[np.uint8]
    maps: Mapping[str, NDArray[Any]]


def histogram_figure(means: Mapping[str, Floats], x_label: str, title: str = "") -> Figure:
    """Shares of real and fake clips over the same bins (Figure 7).

    Args:
        means: "real", "fake" → one number a clip, all of one model: another's distances have
            another scale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    axes = figure.add_subplot()
    every = np.concatenate(list(means.values()))
    edges = np.histogram_bin_edges(every, bins=max(FEW_BINS, min(BINS, len(every) // 4)))
    for name, values in means.items():
        if not len(values):
            continue
        share = np.full(len(values), 1 / len(values))
        label = f"{name} ({len(values)})"
        axes.hist(
            values, edges.tolist(), weights=share, color=COLOURS[name], alpha=0.55, label=label
        )
    axes.set(xlabel=x_label, ylabel="Share of the clips")
    axes.set_title(title, loc="left", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    return figure


def maps_figure(rows: Sequence[Heats], measured: Sequence[str] = ()) -> Figure:
    """A line a clip: the face, then each map over it (Figure 8).

    Args:
        measured: maps whose size counts: each has one range of colours over all lines, which a bar
            below it shows. The others go from their least to their greatest in each line.
    """
    from matplotlib.figure import Figure

    names = list(rows[0].maps)
    columns = len(names) + 1
    size = (CELL_INCHES * columns + 0.6, CELL_INCHES * len(rows) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        show(line[0], row.face, None)
        line[0].set_ylabel(row.title, fontsize="x-small")
    for column, name in zip(grid.T[1:], names, strict=True):
        maps = [row.maps[name] for row in rows]
        limits = (min(map(np.min, maps)), max(map(np.max, maps))) if name in measured else None
        drawn = [show(a, r.face, m, limits) for a, r, m in zip(column, rows, maps, strict=True)]
        if limits:
            bar = figure.colorbar(drawn[-1], ax=column.tolist(), location="bottom")
            bar.ax.tick_params(labelsize="x-small")
    for axes, name in zip(grid[0], ("face", *names), strict=True):
        axes.set_title(name, fontsize="small")
    return figure


def show(
    axes: Axes,
    face: NDArray[np.uint8],
    heat: NDArray[Any] | None,
    limits: tuple[float, float] | None = None,
) -> AxesImage:
    """A face, with heat over it where there is some; the picture on top.

    Args:
        limits: values of the darkest and the brightest colour; None: the heat's least and greatest.
    """
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    height, width = face.shape[:2]
    extent = (0, width, height, 0)
    drawn = axes.imshow(face, extent=extent)
    if heat is None:
        return drawn
    low, high = limits or (None, None)
    return axes.imshow(
        heat,
        extent=extent,
        cmap=HEAT,
        alpha=SHINE,
        interpolation="bilinear",
        vmin=low,
        vmax=high,
    )
