"""What a whole table runs and needs, cells for which nothing can be planned included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from avfd.errors import AvfdError
from classify.choice import FitOptions
from classify.tables.jobs import Asked, Job, job_of, setting_for, untested
from classify.tables.needs import Need, needs_of
from classify.tables.spec import Column, Row, Table
from classify.tables.stock import Stock


def table_needs(stock: Stock, table: Table, asked: Asked) -> list[Need]:
    """Every need of the table, each once.

    A data set to test that was not named is a need itself; what training takes is said all the
    same.
    """
    trained = _without_tests(table, asked)
    needs = needs_of(stock, jobs_of(stock, trained, asked), asked)
    return [*needs, *_to_test(table, asked), *_unsettled(stock, trained, asked)]


def jobs_of(stock: Stock, table: Table, asked: Asked) -> Iterator[Job]:
    """Every job that a cell of the table needs, each once."""
    seen: set[tuple[str, FitOptions, str, str]] = set()
    for row, column in _built_cells(table):
        try:
            setting = setting_for(stock, table, table.setting(row, column), asked)
            job = job_of(stock, table, row, setting, asked)
        except AvfdError:
            continue  # the cell says why
        key = (row.id, job.options, setting.elsewhere, setting.test_protocol)
        if key not in seen:
            seen.add(key)
            yield job


def _built_cells(table: Table) -> Iterator[tuple[Row, Column]]:
    """The cells of the paper that are to be had here."""
    for row in table.rows:
        for column, published in zip(table.columns, row.published, strict=True):
            if row.kind == "built" and published:
                yield row, column


def _without_tests(table: Table, asked: Asked) -> Table:
    """The table with settings that only train, where the data set to test was not named."""
    settings = {
        name: replace(one, test="", test_datasets=()) if untested(one, asked) else one
        for name, one in table.settings.items()
    }
    return replace(table, settings=settings)


def _to_test(table: Table, asked: Asked) -> list[Need]:
    """The data set that must be named before some columns can have a number."""
    heads = dict.fromkeys(
        column.head
        for row, column in _built_cells(table)
        if untested(table.setting(row, column), asked)
    )
    if not heads:
        return []
    detail = f"name it with --test-dataset, for {', '.join(heads)}"
    return [Need("data set", "to test", "missing", detail)]


def _unsettled(stock: Stock, table: Table, asked: Asked) -> Iterator[Need]:
    """The settings that the data sets do not allow, and why."""
    used = {table.setting(row, column).name: None for row, column in _built_cells(table)}
    for name in used:
        try:
            setting_for(stock, table, table.settings[name], asked)
        except AvfdError as error:
            yield Need("setting", name, "missing", str(error))
