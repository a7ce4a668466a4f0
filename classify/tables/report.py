"""A table with our numbers beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from classify.tables.needs import Need


@dataclass(frozen=True)
class Ours:
    """A number of ours.

    Attributes:
        value, low, high: with its interval; all None where it is undefined, `reason` says why.
        clips, covered, groups: clips of the test, how many of them were scored, their groups.
        reason: what must be known of it; empty where nothing.
    """

    value: float | None
    low: float | None
    high: float | None
    clips: int
    covered: int
    groups: int
    reason: str = ""

    @classmethod
    def of(cls, report: Mapping[str, Any], metric: str) -> Ours:
        """From a report of `classify.metrics` as JSON: all clips, those not covered included."""
        found = report["all"]["metrics"][metric]
        return cls(
            value=found["value"],
            low=found["low"],
            high=found["high"],
            clips=report["clips"],
            covered=report["covered_clips"],
            groups=report["groups"],
            reason=found["reason"],
        )

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Cell:
    """One cell: what the paper has, what we have, or why not.

    Attributes:
        column: its head.
        published: as printed; "" where the paper has no such cell.
        published_low, published_high: the number as a share of one; None where it holds none.
        ours: None where there is none, `reason` then says why.
        run: whose scores it rests on.
        reused: the run was there before.
    """

    column: str
    published: str
    published_low: float | None
    published_high: float | None
    ours: Ours | None = None
    reason: str = ""
    run: str = ""
    reused: bool = False


@dataclass(frozen=True)
class RowReport:
    """One row.

    Attributes:
        id, name, kind, modality: see `spec.Row`.
        cells: a cell a column.
        notes: what must be known of its numbers.
    """

    id: str
    name: str
    kind: str
    modality: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableReport:
    """The whole table.

    Attributes:
        table, title, paper, place, wrong, notes: see `spec.Table`.
        datasets: in place of the paper's; empty where it is the paper's own.
        columns: heads.
        needs: what it needed, and what of that was missing.
        rows: in the paper's order.
    """

    table: str
    title: str
    paper: str
    place: str
    datasets: tuple[str, ...]
    wrong: tuple[str, ...]
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    needs: tuple[Need, ...]
    rows: tuple[RowReport, ...]

    @property
    def filled(self) -> int:
        """Cells with a number of ours."""
        cells = (cell for row in self.rows for cell in row.cells)
        return sum(cell.ours is not None and cell.ours.value is not None for cell in cells)

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts and lists; `filled` besides."""
        return {**asdict(self), "filled": self.filled}
