"""Times of `benchmarks.fit` and their tables; no torch in here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NETWORKS = ("loading", "narrow", "paper")
AIM = 5.0

Lap = Callable[[], None]


@dataclass(frozen=True)
class Laps:
    """Seconds from one lap to the next, and those of the processor in this process."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @classmethod
    def of(cls, work: Callable[[Lap], object]) -> Laps:
        """Of work that says when a lap is over."""
        marks = [(time.perf_counter(), time.process_time())]
        work(lambda: marks.append((time.perf_counter(), time.process_time())))
        wall, cpu = np.diff(np.array(marks), axis=0).T.tolist()
        return cls(tuple(wall), tuple(cpu))


@dataclass(frozen=True)
class Line:
    """One line of a contest, in seconds.

    Attributes:
        part, what: which network, and which epoch.
        clips: trained on.
        avfd: from cached columns.
        files: from .npy files: number of workers → seconds.
        cpu_ratio: processor time of the loop without workers to avfd's.
    """

    part: str
    what: str
    clips: int
    avfd: float
    files: dict[int, float]
    cpu_ratio: float

    @property
    def ratios(self) -> dict[int, float]:
        """How many times longer the files take, by workers."""
        return {workers: seconds / self.avfd for workers, seconds in self.files.items()}


@dataclass(frozen=True)
class GridRow:
    """One row of the table.

    Attributes:
        row: its id.
        columns: modality → column.
        training: clips that train; the others validate and test.
        first: seconds from the start to the end of the first epoch, with loading.
        further: median of the further epochs, validation included; None with one epoch.
        whole: seconds of the whole fit.
    """

    row: str
    columns: dict[str, str]
    training: int
    first: float
    further: float | None
    whole: float


def lines(part: str, clips: int, laps: dict[str | int, list[Laps]]) -> list[Line]:
    """First and further epoch of a contest, each side's median."""

    def median(side: str | int, epoch: int, kind: str) -> float:
        return float(statistics.median(getattr(each, kind)[epoch] for each in laps[side]))

    return [
        Line(
            part,
            what,
            clips,
            median("avfd", epoch, "wall"),
            {w: median(w, epoch, "wall") for w in laps if isinstance(w, int)},
            median(0, epoch, "cpu") / median("avfd", epoch, "cpu"),
        )
        for epoch, what in enumerate(("first, cold", "further"))
    ]


def contest_table(found: Sequence[Line]) -> Iterator[str]:
    """Markdown lines of contests."""
    heads = ["network", "epoch", "clips", "avfd", "files", "files, 2 workers"]
    heads += ["ratio", "ratio, 2 workers", "of CPU"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for line in found:
        seconds = [line.avfd, line.files[0], line.files[2]]
        ratios = [line.ratios[0], line.ratios[2], line.cpu_ratio]
        numbers = [*(f"{s:.3g} s" for s in seconds), *(f"{r:.2f} x" for r in ratios)]
        yield f"| {' | '.join([line.part, line.what, f'{line.clips:,}', *numbers])} |"


def grid_table(found: Sequence[GridRow]) -> Iterator[str]:
    """Markdown lines of the grid."""
    yield "| row | columns | training clips | first epoch | further epoch | whole fit |"
    yield f"|{' --- |' * 6}"
    for row in found:
        further = "" if row.further is None else f"{row.further:.3g} s"
        cells = [row.row, " + ".join(row.columns.values()), f"{row.training:,}"]
        yield f"| {' | '.join([*cells, f'{row.first:.3g} s', further, f'{row.whole:.3g} s'])} |"
    yield f"| all | | | | | {sum(row.whole for row in found):.3g} s |"


def report(parts: dict[str, Any]) -> str:
    """All parts that were ever measured, as Markdown."""
    out = ["# An epoch from cached columns", "", f"Aim: files take {AIM:g} x as long.", ""]
    contests = [part for part in NETWORKS if part in parts]
    out += [f"- {part}: {said(parts[part]['facts'])}" for part in contests]
    found = [line_of(stored) for part in contests for stored in parts[part]["lines"]]
    out += ["", *contest_table(found)] if found else []
    if "grid" in parts:
        out += ["", "# 2D3MF's Table 2 on cached columns", "", said(parts["grid"]["facts"]), ""]
        out += grid_table([GridRow(**row) for row in parts["grid"]["lines"]])
    return "\n".join(out) + "\n"


def said(facts: dict[str, Any]) -> str:
    """Facts of a run on one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def line_of(stored: dict[str, Any]) -> Line:
    """A line from its JSON, whose keys are strings."""
    return Line(**{**stored, "files": {int(w): s for w, s in stored["files"].items()}})
