"""The folder of forgeries: whose it is, which pairs are whole, and their table."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avfd.errors import InputError
from extract.forge.writing import partial_of

RECORD, TABLE = "forge.json", "clips.csv"
MADE_BY = {"made_by": "avfd forge"}
PLANNED = "clips, faces and people of the data set"
"""Of the record: a digest of all that the whole table would hold."""
SAVE_SECONDS = 10.0
"""So much later than its files a pair stands in the table at most, should the process be killed."""

Row = Mapping[str, str]
"""One of the table, by column name; empty where there is nothing to say."""


class Folder:
    """A folder that is forge's own, and what is in it.

    Args:
        path: new, empty, or one that was begun with the same `facts` and `planned`.
        facts: what was asked for, in JSON's types.
        columns: of the table.
        planned: pair → the rows of its files, with all `columns`; `path` is below the folder.

    Attributes:
        done: pairs whose files are whole and stand in the table.

    Raises:
        InputError: the folder is not forge's, was begun with other options, or its table was
            changed by others.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, object],
        columns: Sequence[str],
        planned: Mapping[str, Sequence[Row]],
    ) -> None:
        self.path, self.table = path, path / TABLE
        self.columns, self.planned = list(columns), planned
        self.done: set[str] = set()
        self._saved_at = time.monotonic()
        self._unsaved = False
        digest = hashlib.sha256(json.dumps([self.columns, planned]).encode()).hexdigest()
        told = json.loads(json.dumps({**MADE_BY, **facts, PLANNED: digest}))
        before = _record(path)
        if before is None:
            _check_empty(path)
            path.mkdir(parents=True, exist_ok=True)
            _replace(path / RECORD, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        else:
            _check_same(path, before, told)
            self._look()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """However this ends, the table names the pairs that are whole; parts of files go."""
        try:
            yield
        finally:
            self.save()
            for pair in self.planned.keys() - self.done:
                for row in self.planned[pair]:
                    partial_of(self.path / row["path"]).unlink(missing_ok=True)

    def add(self, pair: str) -> None:
        """Both files of the pair are whole."""
        self.done.add(pair)
        self._unsaved = True

    def save_if_due(self) -> None:
        """Write the table where it lacks a pair and is older than `SAVE_SECONDS`."""
        if self._unsaved and time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the table anew, complete or not at all; none where there is no pair."""
        if self.done or self.table.exists():
            partial = partial_of(self.table)
            with partial.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, self.columns)
                writer.writeheader()
                writer.writerows(self.rows())
            partial.replace(self.table)
        self._saved_at, self._unsaved = time.monotonic(), False

    def rows(self) -> list[Row]:
        """Those of the table, in the order of their paths."""
        rows = [row for pair in self.done for row in self.planned[pair]]
        return sorted(rows, key=lambda row: row["path"])

    def _look(self) -> None:
        """Note the pairs that stand in the table and whose files are there."""
        if not self.table.exists():
            return
        with self.table.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            header, listed = reader.fieldnames, {row.get("path", ""): row for row in reader}
        ours = {row["path"]: row for rows in self.planned.values() for row in rows}
        strange = [path for path, row in listed.items() if row != ours.get(path)]
        if header != self.columns or strange:
            raise InputError(
                "the table is not as it was written here",
                where=self.table,
                found=strange[0] if strange else ", ".join(header or ()),
                next_step="name another folder: nothing of others is written over",
            )
        for pair, rows in self.planned.items():
            paths = [row["path"] for row in rows]
            if all(path in listed and (self.path / path).is_file() for path in paths):
                self.done.add(pair)


def _record(folder: Path) -> dict[str, Any] | None:
    """What forge noted when it began the folder; None where it did not."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(record, dict) and MADE_BY.items() <= record.items()
    return record if ours else None


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "the folder is not empty",
            where="--into",
            found=folder,
            accepted="a new or empty folder, or one that the same command began",
            next_step="name another one: nothing is ever written over",
        )


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other options than the folder was begun with."""
    names = [n for n in {**before, **now} if before.get(n) != now.get(n)]
    if not names:
        return
    if names == [PLANNED]:
        found, accepted = f"other {PLANNED}", "those of the first time"
    else:
        names = [name for name in names if name != PLANNED]
        found, accepted = (
            ", ".join(f"{n} {json.dumps(told.get(n))}" for n in names) for told in (now, before)
        )
    raise InputError(
        "the folder was begun with other options",
        where=folder,
        found=found,
        accepted=accepted,
        next_step="name another folder for these",
    )


def _replace(path: Path, text: str) -> None:
    """Write a file, complete or not at all."""
    partial = partial_of(path)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
