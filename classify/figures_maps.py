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


def maps_figure(rows: Sequence[Heats], alike: Sequence[str] = ()) -> Figure:
    """A line a clip: the face, then each map over it (Figure 8).

    Args:
        alike: maps of one kind: they share one range of colours over all lines, which a bar at
            the right shows. The others go from their least to their greatest in each line.
    """
    from matplotlib.figure import Figure

    names = list(rows[0].maps)
    columns = len(names) + 1
    size = (CELL_INCHES * columns + 1.2, CELL_INCHES * len(rows) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    shared = [row.maps[name] for row in rows for name in alike]
    limits = (min(map(np.min, shared)), max(map(np.max, shared))) if shared else None
    for line, row in zip(grid, rows, strict=True):
        show(line[0], row.face, None)
        line[0].set_ylabel(row.title, fontsize="x-small")
        for axes, name in zip(line[1:], names, strict=True):
            heat = show(axes, row.face, row.maps[name], limits if name in alike else None)
            if name in alike and axes is grid[0, 1 + names.index(alike[0])]:
                bar = figure.colorbar(heat, ax=grid[:, -1].tolist(), fraction=0.1)
                bar.set_label(", ".join(alike), fontsize="small")
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
