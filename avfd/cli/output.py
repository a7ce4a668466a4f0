"""What commands print: results on stdout, people's words and progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

Progress = Callable[[int, int, str], None]
"""Called with units done, units in all, and a few words."""

WIDE = 160
"""Columns of a table that does not go to a terminal: nothing is cut off in a pipe or a log."""

EVERY_SECONDS = 30.0
"""Between two lines of progress where stderr is no terminal."""

BAR_WIDTH, BESIDE_WIDTH, LEAST_WIDTH = 20, 14, 8
"""Terminal cells: of a bar; of the time left, a slash and what stands between the columns; that a
note needs to be worth showing."""


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
def progress(
    words: str, clock: Callable[[], float] = time.monotonic, console: Console | None = None
) -> Iterator[Progress]:
    """How far the block is, on stderr: a bar on a terminal, else a line now and then.

    Args:
        words: what is being done.
        clock: seconds that never run backwards.
        console: where to; None: stderr.
    """
    from rich.console import Console

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield Lines(words, clock)
        return
    with _bars(console) as bars:
        task = bars.add_task(words, total=None, note="")

        def update(done: int, total: int, note: str = "") -> None:
            room = console.width - cell_len(words) - BAR_WIDTH - 2 * len(str(total)) - BESIDE_WIDTH
            bars.update(task, completed=done, total=total, note=shortened(note, room))

        yield update


def _bars(console: Console) -> Bars:
    """What is done, the bar, how many of how many, the time left, and last whatever fits."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    )


class Lines:
    """Progress where nobody watches a terminal: a line at most every `EVERY_SECONDS`.

    Args:
        words: what is being done.
        clock: seconds that never run backwards.
    """

    def __init__(self, words: str, clock: Callable[[], float]) -> None:
        self._words, self._clock = words, clock
        self._start = self._said = clock()
        self._done = 0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """As `Progress`."""
        now = self._clock()
        if done < self._done:  # something else is counted from here on
            self._start = now
        self._done = done
        if now - self._said < EVERY_SECONDS:
            return
        self._said = now
        seconds = (now - self._start) * (total - done) / done if done else 0.0
        left = f", {timedelta(seconds=round(seconds))} left" if seconds else ""
        say(f"{self._words}: {done} of {total}{left}{note and '; ' + note}")


def shortened(text: str, width: int) -> str:
    """The text's end, where it is too long; nothing where there is hardly any room.

    Args:
        width: terminal cells.

    >>> shortened("part 1/clip.mp4", 15), shortened("part 1/clip.mp4", 9), shortened("clip", 3)
    ('part 1/clip.mp4', '…clip.mp4', '')
    """
    if cell_len(text) <= width:
        return text
    if width < LEAST_WIDTH:
        return ""
    while cell_len(text) >= width:
        text = text[1:]
    return f"…{text}"


def cell_len(text: str) -> int:
    """Terminal cells that the text takes."""
    from rich.cells import cell_len as cells

    return cells(text)


def announced(update: Progress) -> Progress:
    """The same progress, with what an extract says before its first clip as a line of its own."""

    begun = False

    def told(done: int, total: int, note: str) -> None:
        nonlocal begun
        if not begun and note:
            say(f"{total} clips to do, {note}")
        update(done, total, note if begun else "")
        begun = True

    return told


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
