"""Score-CAM over the pictures of a clip, a line a run: joint, independent, shuffled (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classify.figures_maps import CELL_INCHES, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CamRow:
    """One line: what a run looks at in a clip.

    Attributes:
        title: the run.
        pictures: uint8 [shown, rows, columns, 3].
        heats: [shown, rows, columns], 0 … 1.
    """

    title: str
    pictures: NDArray[np.uint8]
    heats: NDArray[Any]


def cam_figure(rows: Sequence[CamRow], title: str = "") -> Figure:
    """The pictures alone on top, then a line a run with its heat over them."""
    from matplotlib.figure import Figure

    columns = len(rows[0].pictures)
    size = (CELL_INCHES * columns + 0.6, (CELL_INCHES + 0.2) * (len(rows) + 1) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows) + 1, columns, squeeze=False)
    for axes, picture in zip(grid[0], rows[0].pictures, strict=True):
        show(axes, picture, None)
    for line, row in zip(grid[1:], rows, strict=True):
        for axes, picture, heat in zip(line, row.pictures, row.heats, strict=True):
            show(axes, picture, heat)
        line[0].set_title(row.title, fontsize="small", loc="left")
    if title:
        figure.suptitle(title, fontsize="small")
    return figure
