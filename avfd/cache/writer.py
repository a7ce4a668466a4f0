"""Writing results into columns: everything here runs inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache.chunks import RowStore
from avfd.cache.layout import (
    ClipArrays,
    ColumnFacts,
    array,
    column_group,
    digests,
    grow,
    total_rows,
)
from avfd.cache.records import ClipResult
from avfd.errors import InputError
from avfd.specs import ABSENT, DONE, FAILED, PENDING


@dataclass(frozen=True)
class Counts:
    """Results stored and results dropped."""

    written: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.written + other.written, self.skipped + other.skipped)


def write_columns(root: zarr.Group, results: Mapping[str, Sequence[ClipResult]]) -> Counts:
    """Store what is not stored yet, column by column."""
    total = Counts()
    kept_everywhere: list[ClipResult] = []
    for column, given in results.items():
        if given:
            kept = _write_column(root, column, given)
            kept_everywhere += kept
            total += Counts(len(kept), len(given) - len(kept))
    _note_sha256(root, kept_everywhere)
    return total


def _write_column(root: zarr.Group, column: str, given: Sequence[ClipResult]) -> list[ClipResult]:
    """Write one column's results; returns those that were written."""
    group = column_group(root, column)
    facts = ColumnFacts.of(group)
    clip_count = array(root, "clip").shape[0]
    for name in ("status", "reason"):
        grow(array(group, name), clip_count)
    first = max(0, min(result.entry for result in given))
    stop = min(clip_count, max(result.entry for result in given) + 1)
    clips = ClipArrays.load(root, first, stop)
    status = array(group, "status")[first:stop]
    kept = _wanted(given, clips, status)
    if not kept:
        return []
    places = np.array([result.entry for result in kept], dtype=np.int64) - first
    status[places] = [result.status for result in kept]
    _write_values(root, group, facts, clips, kept)
    array(group, "status")[first:stop] = status
    _write_reasons(group, places + first, [result.reason for result in kept])
    return kept


def _wanted(
    given: Sequence[ClipResult], clips: ClipArrays, status: NDArray[np.uint8]
) -> list[ClipResult]:
    """In entry order: the first result of each clip that is alive, still that clip, not done."""
    wanted: dict[int, ClipResult] = {}
    for result in sorted(given, key=lambda result: result.entry):
        place = result.entry - clips.first
        alive = 0 <= place < len(status) and clips.alive[place] and clips.key[place] == result.key
        if alive and status[place] != DONE:
            wanted.setdefault(place, result)
    return list(wanted.values())


def _write_reasons(group: zarr.Group, entries: NDArray[np.int64], reasons: list[str]) -> None:
    """Rewrite the reasons between the first and the last clip, where any of them changes."""
    target = array(group, "reason")
    first, stop = int(entries[0]), int(entries[-1]) + 1
    window = np.array(target[first:stop], dtype=object)
    if (window[entries - first] != np.array(reasons, dtype=object)).any():
        window[entries - first] = reasons
        target[first:stop] = window


def _write_values(
    root: zarr.Group,
    group: zarr.Group,
    facts: ColumnFacts,
    clips: ClipArrays,
    kept: Sequence[ClipResult],
) -> None:
    """Store values and validity of the clips that are done."""
    done = [result for result in kept if result.status == DONE]
    places = np.array([result.entry for result in done], dtype=np.int64)
    if facts.clip_level:
        starts, rows = places, np.ones(len(done), dtype=np.int64)
        length = array(root, "clip").shape[0]
    else:
        starts, rows = clips.start[places - clips.first], clips.rows[places - clips.first]
        length = total_rows(root)
    dtype, one = np.dtype(facts.dtype), facts.values_shape(1)
    for result, count in zip(kept, _all_rows(clips, kept), strict=True):
        _check(result, dtype, one if facts.clip_level else (count, *one[1:]), facts)
    names = ["embedding"] if facts.clip_level else ["embedding", "valid"]
    for name in names:
        target = array(group, name)
        grow(target, length)
        if done:
            values = [_rows_of(result, name, facts) for result in done]
            # Looking for chunks that are all zero would take time at every write.
            RowStore(target).write(starts, starts + rows, values, keep_empty=True)


def _all_rows(clips: ClipArrays, kept: Sequence[ClipResult]) -> list[int]:
    places = np.array([result.entry for result in kept], dtype=np.int64) - clips.first
    return cast("list[int]", clips.rows[places].tolist())


def _rows_of(result: ClipResult, name: str, facts: ColumnFacts) -> NDArray[Any]:
    """The result's values or validity with rows in front."""
    values = cast("NDArray[Any]", result.values if name == "embedding" else result.valid)
    return values[np.newaxis] if facts.clip_level else values


def _check(
    result: ClipResult, dtype: np.dtype[Any], shape: tuple[int, ...], facts: ColumnFacts
) -> None:
    """Refuse what a backbone must not hand over: a bug there, so it names the shapes."""
    if result.status in (FAILED, ABSENT):
        return
    if result.status != DONE or result.values is None:
        raise InputError(
            "not a finished result",
            where=result.key,
            found=f"status {result.status}",
            accepted="done with values, failed or absent",
        )
    values = result.values
    if values.dtype != dtype or values.shape != shape:
        raise InputError(
            "values of another shape",
            where=result.key,
            found=f"{values.dtype} {values.shape}",
            accepted=f"{dtype} {shape}",
        )
    valid = None if result.valid is None else result.valid.shape
    wanted_valid = None if facts.clip_level else shape[:2]
    if valid != wanted_valid:
        raise InputError(
            "validity of another shape", where=result.key, found=valid, accepted=wanted_valid
        )


def _note_sha256(root: zarr.Group, results: Sequence[ClipResult]) -> None:
    """Remember the media's digests where none is known yet."""
    known = {result.entry: result.sha256 for result in results if result.sha256}
    if not known:
        return
    entries = np.array(sorted(known), dtype=np.int64)
    first, stop = int(entries[0]), int(entries[-1]) + 1
    window = array(root, "sha256")[first:stop]
    new = digests(known[entry] for entry in entries.tolist())
    if (window[entries - first] != new).any():
        window[entries - first] = new
        array(root, "sha256")[first:stop] = window


def reset_entries(group: zarr.Group, entries: NDArray[np.intp]) -> int:
    """Set a column's entries back to pending; returns how many were not pending before."""
    target = array(group, "status")
    entries = np.sort(entries[entries < target.shape[0]])
    if not len(entries):
        return 0
    first, stop = int(entries[0]), int(entries[-1]) + 1
    status = target[first:stop]
    count = int((status[entries - first] != PENDING).sum())
    if count:
        status[entries - first] = PENDING
        target[first:stop] = status
        _write_reasons(group, entries, [""] * len(entries))
    return count
