"""What the cache holds already and an extract builds on: face tracks, columns that others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from avfd.cache import ClipResult, ColumnReader, Reader
from avfd.clips import Clip
from avfd.specs import DONE, PENDING, BackboneSpec
from extract.backbones.base import is_face_pass
from extract.spool import Sheet, Spool
from extract.task import FACE_TRACK

STRETCH_BYTES = 32 << 20
"""Of a long clip's column, read at once on its way to a file."""

Specs = Mapping[str, BackboneSpec]
"""Column → spec, for the columns asked for and those that they read."""

Todos = Iterable[tuple[Clip, Sequence[str]]]
"""Clips, and the columns that each lacks."""


class Stored:
    """The columns of one snapshot on which other columns may be built.

    Args:
        reader: the snapshot.
        columns: names of those that are what their backbones would make now.
    """

    def __init__(self, reader: Reader, columns: Iterable[str]) -> None:
        self._reader = reader
        self._columns = {name: reader.column(name) for name in columns}

    @cached_property
    def _settled(self) -> dict[str, set[str]]:
        """Column → keys of the clips that are done, failed or absent there."""
        keys = self._reader.keys
        return {
            name: {k for k, s in zip(keys, column.statuses(keys), strict=True) if s != PENDING}
            for name, column in self._columns.items()
        }

    def has(self, column: str, key: str) -> bool:
        """Whether the cache says how the clip stands in the column."""
        return key in self._settled.get(column, ())

    def result(self, column: str, key: str, spool: Spool | None = None) -> ClipResult:
        """What the cache holds of a clip; large values in the spool, where there is one."""
        stored, entry = self._columns[column], self._reader.entry(key)
        status = int(stored.statuses([key])[0])
        if status != DONE:
            return ClipResult(entry, key, status, stored.reasons([key])[0])
        if sheet := _sheet(stored, key, self._reader.rows(key), spool):
            return ClipResult(entry, key, DONE, "", sheet.array, stored.valid(key))
        cells = stored.read(key)
        valid = None if stored.clip_level else cells.valid
        return ClipResult(entry, key, DONE, "", cells.values, valid)

    def below(
        self, key: str, columns: Sequence[str], specs: Specs, spool: Spool | None = None
    ) -> dict[str, ClipResult]:
        """Column → result, for each with which the work on a clip's columns begins."""
        wanted = {read for column in columns if (read := specs[column].reads)}
        if any(specs[column].faces for column in columns):
            wanted.add(FACE_TRACK)
        found = sorted(c for c in wanted - set(columns) if self.has(c, key))
        return {column: self.result(column, key, spool) for column in found}


def _sheet(stored: ColumnReader, key: str, rows: int, spool: Spool | None) -> Sheet | None:
    """A clip's values in a file, read there a stretch at a time; None where they are small."""
    if spool is None or stored.clip_level:
        return None
    sheet = spool.sheet((rows, stored.rate_hz, *stored.shape), stored.dtype)
    if sheet:
        step = max(1, STRETCH_BYTES * rows // sheet.array.nbytes)
        for first in range(0, rows, step):
            values = stored.read(key, first, first + step).values
            sheet.put(first + np.arange(len(values)), values)
    return sheet


def needs_media(todo: Todos, specs: Specs, stored: Stored) -> bool:
    """Whether some clip's media are to be opened."""
    return any(True for clip, names in todo for _ in _from_media(clip.key, names, specs, stored))


def needs_detector(todo: Todos, specs: Specs, stored: Stored) -> bool:
    """Whether some clip's face is to be found that no cached track shows."""
    for clip, columns in todo:
        shown = stored.has(FACE_TRACK, clip.key)
        for spec in _from_media(clip.key, columns, specs, stored):
            if is_face_pass(spec) or (spec.faces and not shown):
                return True
    return False


def _from_media(
    key: str, columns: Sequence[str], specs: Specs, stored: Stored
) -> Iterator[BackboneSpec]:
    """Specs of the columns that a clip's media are opened for: its own, or those that they read."""
    for column in columns:
        read = specs[column].reads
        if read is None:
            yield specs[column]
        elif read not in columns and not stored.has(read, key):
            yield specs[read]
