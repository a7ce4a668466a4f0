"""A whole table: every cell with a number of ours or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from avfd.errors import AvfdError
from avfd.home import Home
from classify.tables.jobs import Asked, Job, job_of, setting_for
from classify.tables.needs import Need
from classify.tables.planning import jobs_of, table_needs
from classify.tables.report import Cell, RowReport, TableReport
from classify.tables.running import Runner, Tell
from classify.tables.spec import Column, Row, Table
from classify.tables.stock import Stage1, Stock

Progress = Callable[[int, int, str], None]
NeedsFound = Callable[[Sequence[Need]], None]
QUOTED = "a competitor's number, quoted as published; not built here"
NOT_THERE = "the paper has no such cell"


def _silent(done: int, total: int, note: str) -> None:
    """The default of `progress`."""


def make(
    home: Home,
    table: Table,
    asked: Asked,
    stage1: Stage1,
    *,
    tell: Tell = lambda words: None,
    needs_found: NeedsFound = lambda needs: None,
    progress: Progress = _silent,
) -> TableReport:
    """The table with our numbers: what can run runs, the rest says why not.

    Args:
        stage1: fills columns and knows weights.
        tell: called with what is being done, in a few words.
        needs_found: called with what is needed, before anything runs.
        progress: called with rows done, rows in all and the row's name.
    """
    runner = Runner(home, stage1, asked, tell)
    jobs = list(jobs_of(runner.stock, table, asked))
    runner.universe = universe_of(runner.stock, jobs)
    needs = table_needs(runner.stock, table, asked)
    needs_found(needs)
    if asked.extract:
        runner.fill_at_once(jobs)
    rows = []
    for done, row in enumerate(table.rows):
        progress(done, len(table.rows), row.name)
        rows.append(_row(runner, table, row))
    return report_of(table, asked, needs, tuple(rows))


def universe_of(stock: Stock, jobs: Iterable[Job]) -> set[str]:
    """The indexed data sets that the jobs touch: a column has one name in all of them."""
    sets = {
        name
        for job in jobs
        for name in (*job.setting.datasets, *job.setting.test_datasets, job.setting.elsewhere)
    }
    return {name for name in sets if name and stock.indexed(name)}


def report_of(
    table: Table, asked: Asked, needs: Iterable[Need], rows: tuple[RowReport, ...]
) -> TableReport:
    """The report of these rows."""
    return TableReport(
        table=table.name,
        title=table.title,
        paper=table.paper,
        place=table.place,
        datasets=asked.datasets,
        wrong=table.wrong,
        notes=table.notes,
        columns=tuple(column.head for column in table.columns),
        needs=tuple(needs),
        rows=rows,
    )


def _row(runner: Runner, table: Table, row: Row) -> RowReport:
    notes: dict[str, None] = dict.fromkeys([row.note] if row.note else [])
    cells = []
    for i, column in enumerate(table.columns):
        cell, said = _cell(runner, table, row, i, column)
        cells.append(cell)
        notes |= dict.fromkeys(said)
    return RowReport(row.id, row.name, row.kind, row.modality, tuple(cells), tuple(notes))


def _cell(
    runner: Runner, table: Table, row: Row, i: int, column: Column
) -> tuple[Cell, Sequence[str]]:
    """The cell, and what must be known of its number."""
    known = table.cell(row, i)
    bare = Cell(column.head, known.text, known.low, known.high)
    fixed = {"quoted": QUOTED, "unbuilt": row.why}.get(row.kind)
    if fixed is not None:
        return replace(bare, reason=fixed if known.text else NOT_THERE), ()
    if not known.text and not _comes_along(table, row, column):
        return replace(bare, reason=NOT_THERE), ()
    stock, asked = runner.stock, runner.asked
    try:
        setting = setting_for(stock, table, table.setting(row, column), asked)
        job = job_of(stock, table, row, setting, asked)
        ours, done = runner.number(job, column)
    except AvfdError as error:
        return replace(bare, reason=str(error)), ()
    cell = replace(bare, ours=ours, reason=ours.reason, run=done.run.name, reused=done.reused)
    return cell, done.notes


def _comes_along(table: Table, row: Row, column: Column) -> bool:
    """Whether a cell that the paper lacks is of a run that another cell of the row needs."""
    setting = table.setting(row, column)
    others = zip(table.columns, row.published, strict=True)
    return any(text and table.setting(row, other) == setting for other, text in others)
