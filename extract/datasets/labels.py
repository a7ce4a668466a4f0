"""Label files, JSON and CSV, read so that a mistake names its file and, in a CSV, its line."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from avfd.errors import InputError

Segments = tuple[tuple[float, float], ...]
Line = tuple[str, Mapping[str, str]]
"""Where a row stands, for error messages, and its cells by column name."""
_SHOWN = 80


def malformed(problem: str, where: str | Path, found: object, accepted: str) -> InputError:
    """The error for a value of the wrong form, of which the message shows the beginning."""
    return InputError(problem, where=where, found=str(found)[:_SHOWN], accepted=accepted)


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """The text of a small file."""
    try:
        return path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            "not a UTF-8 text", where=path, found=str(error), next_step="save it as UTF-8"
        ) from error
    except OSError as error:
        raise InputError("the file cannot be read", where=path, found=error.strerror) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file; its form is for the caller to check."""
    try:
        return json.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", where=path, found=str(error)) from error


def read_rows(
    path: Path, *, delimiters: str = ",", ragged: bool = False
) -> tuple[list[str], list[Line]]:
    """The column names and the rows of a CSV file; blank lines are no rows.

    Args:
        delimiters: the one that is most frequent in the first line separates.
        ragged: rows of another width than the first line's are filled or cut, not refused.

    Raises:
        InputError: no UTF-8 text, empty, no CSV, two columns of one name, a row of another width.
    """
    text = _not_empty(path)
    first = text.partition("\n")[0]
    delimiter = max(delimiters, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Line] = []
    try:
        header = next(lines)
        _check_header(path, header)
        for cells in lines:
            if cells:
                where = f"{path}:{lines.line_num}"
                rows.append((where, _by_name(where, header, cells, ragged)))
    except csv.Error as error:
        raise InputError(
            "not a CSV file", where=f"{path}:{lines.line_num}", found=str(error)
        ) from error
    return header, rows


def _not_empty(path: Path) -> str:
    text = read_text(path)
    if not text.strip():
        raise InputError(
            "the table is empty", where=path, accepted="a line of column names, then a line a clip"
        )
    return text


def _check_header(path: Path, header: list[str]) -> None:
    """Refuse two columns of one name; those without a name may be several."""
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise InputError(
            "two columns have one name",
            where=f"{path}:1",
            found=", ".join(twice),
            next_step="rename or remove one of them",
        )


def _by_name(where: str, header: list[str], cells: list[str], ragged: bool) -> dict[str, str]:
    if len(cells) != len(header) and not ragged:
        raise InputError(
            "the row is not as wide as the line of column names",
            where=where,
            found=f"{len(cells)} cells",
            accepted=f"{len(header)} cells: {', '.join(header)}",
        )
    return dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=False))


def stretches(stated: object, what: str, where: str | Path) -> Segments:
    """Stretches of time in seconds, as JSON states them: a list of pairs.

    Raises:
        InputError: another form, a start before 0, an end before its start or not finite.
    """
    if not isinstance(stated, list) or not all(map(_is_stretch, stated)):
        raise malformed(
            f"{what} holds no list of stretches of time",
            where,
            stated,
            "[[start, end], …] in seconds from the clip's start, start before end",
        )
    return tuple((float(start), float(end)) for start, end in stated)


def _is_stretch(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(is_number, pair)):
        return False
    start, end = pair
    return bool(0 <= start <= end <= sys.float_info.max)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
