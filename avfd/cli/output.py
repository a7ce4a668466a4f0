"""What commands print: results on stdout, people's words and progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
"""Called with units done, units in all, and a few words."""

WIDE = 160
"""Columns of a table that does not go to a terminal: nothing is cut off in a pipe or a log."""


def say(text: str) -> None:
    """A sentence for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def jsonable(value: object) -> object:
    """The value in JSON's own types; NaN and infinities become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def emit_json(value: object) -> None:
    """The one JSON document of a command, on stdout."""
    print(json.dumps(jsonable(value), ensure_ascii=False, indent=2))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table on stdout; numbers to the right. Where it is too wide, a line for each cell."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = rows and all(isinstance(r[i], int | float) or r[i] is None for r in rows)
        words = [w for text in (name, *(cell(r[i]) for r in rows)) for w in text.split()]
        grid.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=max(map(len, words), default=None),  # no word is cut while there is room
        )
    for row in rows:
        grid.add_row(*(Text(cell(v)) for v in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    unbound = console.options.update(max_width=10_000)  # else the measure is cut to the console
    if console.measure(grid, options=unbound).minimum <= console.width:
        console.print(grid)
    else:
        _stacked(columns, rows, title)


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    """The table for a narrow terminal: nothing is cut inside a word."""
    width = max(map(len, columns))
    if title:
        print(title)
    for row in rows:
        print()
        for name, value in zip(columns, row, strict=True):
            print(f"{name:<{width}}  {cell(value)}")


def cell(value: object) -> str:
    """One cell as text: floats to three places, those that would be 0 there to three digits.

    >>> [cell(v) for v in (0.12345, 3, None, "x", 1e-10, 0.0)]
    ['0.123', '3', '-', 'x', '1e-10', '0.000']
    """
    if value is None:
        return "-"
    if isinstance(value, float) and 0 < abs(value) < 0.0005:
        return f"{value:.3g}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def size(n_bytes: float) -> str:
    """Bytes for people.

    >>> size(1536), size(3), size(5e9)
    ('1.5 KiB', '3 B', '4.7 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


@contextmanager
def progress(words: str) -> Iterator[Progress]:
    """A progress bar on stderr while the block runs; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bars:
        task = bars.add_task(words, total=None)

        def update(done: int, total: int, note: str = "") -> None:
            bars.update(task, completed=done, total=total, description=f"{words} {note}".strip())

        yield update


class _Said(logging.Handler):
    """Log records said to people, on whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def set_up_logging(verbose: bool) -> None:
    """Log records of our packages on stderr: warnings, or every step with --verbose."""
    handler = _Said()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for name in ("avfd", "extract", "classify"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
