"""The time of 2D3MF's Table 2 on cached columns; see `benchmarks.fit`."""

from __future__ import annotations

import gc
import statistics
from dataclasses import replace
from pathlib import Path

from benchmarks.cache import sync
from benchmarks.fit_lines import GridRow, Lap, Laps
from benchmarks.made_columns import Made, make
from classify import FitOptions, fit
from classify.tables import load
from classify.tables.spec import Row
from classify.watching import watched
from extract.backbones import build


def grid(folder: Path, clips: int, epochs: int, preset: str, device: str) -> list[GridRow]:
    """Every row of 2D3MF's Table 2 that is built here."""
    rows = [row for row in load("2d3mf-2").rows if row.kind == "built"]
    asks = dict.fromkeys(ask for row in rows for ask in row.asks.values())
    made = make(folder, {ask: build(ask).spec for ask in asks}, clips, files=False)
    told = FitOptions(preset=preset, epochs=epochs, device=device)  # type: ignore[arg-type]
    fit(made.home, options_of(rows[0], told))  # what is imported once is not the first row's cost
    out = []
    for row in rows:
        gc.collect()
        sync(made.home.path, drop=True)
        out.append(grid_row(made, row, options_of(row, told)))
        print(out[-1], flush=True)
    return out


def options_of(row: Row, told: FitOptions) -> FitOptions:
    """What the row asks `fit` for; its columns are named as its backbones are asked for."""
    return replace(
        told,
        audio=row.audio or None,
        video=row.video or None,
        fusion="feature" if len(row.asks) > 1 else "none",
        model=row.model,
    )


def grid_row(made: Made, row: Row, options: FitOptions) -> GridRow:
    """One fit, timed."""
    trained: list[int] = []

    def work(lap: Lap) -> None:
        with watched(lambda _: lap()):
            trained.append(fit(made.home, options).clips["train"])
        lap()

    first, *further, _ = (laps := Laps.of(work)).wall
    middle = statistics.median(further) if further else None
    return GridRow(row.id, dict(row.asks), trained[0], first, middle, sum(laps.wall))
