"""Bringing the clip arrays up to date with a new index; columns are never touched here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from avfd.cache.layout import ClipArrays, StoredArray, array, digests, grow, total_rows
from avfd.cache.records import Entry, IndexChange
from avfd.cache.store import Store
from avfd.errors import InputError
from avfd.timeline import row_count

Digest = Callable[[str], str]


@dataclass(frozen=True)
class _Plan:
    """What has to be done: retire `retired`, append `appended`, refresh times of `touched`."""

    change: IndexChange
    appended: list[Entry]
    retired: NDArray[np.int64]
    touched: NDArray[np.int64]
    touched_mtime_ns: NDArray[np.int64]


def update_clips(store: Store, entries: Sequence[Entry], sha256_of: Digest | None) -> IndexChange:
    """Add new clips, retire and re-add changed ones, in one commit."""
    _check_unique(entries)
    known = None if sha256_of is None else cache(sha256_of)
    if known is not None:
        # Hashing media takes long: ask before the lock is taken; inside it the answers are known.
        _plan(store.read(store.head()), entries, known)

    def body(root: zarr.Group) -> IndexChange:
        plan = _plan(root, entries, known)
        _apply(root, plan)
        return plan.change

    return store.change("index", body)[0]


def _check_unique(entries: Sequence[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.key in seen:
            raise InputError("two entries have one clip key", where=entry.key)
        seen.add(entry.key)


def _plan(root: zarr.Group, entries: Sequence[Entry], sha256_of: Digest | None) -> _Plan:
    clips = ClipArrays.load(root)
    alive = np.flatnonzero(clips.alive)
    place = dict(zip(clips.key[alive], alive.tolist(), strict=True))
    listed = [entry for entry in entries if entry.key in place]
    where = np.array([place[entry.key] for entry in listed], dtype=np.int64)
    sizes = np.array([entry.bytes for entry in listed], dtype=np.int64)
    times = np.array([entry.mtime_ns for entry in listed], dtype=np.int64)
    same_size = array(root, "bytes")[:][where] == sizes
    suspect = ~same_size | (array(root, "mtime_ns")[:][where] != times)
    touched = suspect & same_size
    touched[touched] = _same_content(root, where[touched], sha256_of, clips.key)
    changed = suspect & ~touched
    names = {entry.key for entry in entries}
    change = IndexChange(
        added=[entry.key for entry in entries if entry.key not in place],
        changed=[listed[i].key for i in np.flatnonzero(changed)],
        kept=[listed[i].key for i in np.flatnonzero(~changed)],
        unlisted=[key for key in place if key not in names],
    )
    new = {*change.added, *change.changed}
    appended = [entry for entry in entries if entry.key in new]
    return _Plan(change, appended, where[changed], where[touched], times[touched])


def _same_content(
    root: zarr.Group, places: NDArray[np.int64], sha256_of: Digest | None, keys: NDArray[np.object_]
) -> NDArray[np.bool_]:
    """Which of the clips still have the media whose sha256 was taken at extract."""
    if sha256_of is None or not len(places):
        return np.zeros(len(places), dtype=bool)
    stored = array(root, "sha256")[:][places]
    same = stored.any(axis=1)
    asked = digests(sha256_of(keys[place]) for place in places[same])
    same[same] = (asked == stored[same]).all(axis=1)
    return np.asarray(same, dtype=bool)


def _apply(root: zarr.Group, plan: _Plan) -> None:
    if len(plan.retired):
        _replace(array(root, "alive"), plan.retired, False)
    if len(plan.touched):
        _replace(array(root, "mtime_ns"), plan.touched, plan.touched_mtime_ns)
    if plan.appended:
        _append(root, plan.appended)


def _replace(target: StoredArray, places: NDArray[np.int64], values: Any) -> None:
    """Change single elements; only the chunks between the first and the last are rewritten."""
    first, stop = int(places.min()), int(places.max()) + 1
    window = target[first:stop]
    window[places - first] = values
    target[first:stop] = window


def _append(root: zarr.Group, entries: list[Entry]) -> None:
    before = array(root, "clip").shape[0]
    first_row = total_rows(root)
    rows = np.array([row_count(entry.seconds) for entry in entries], dtype=np.int64)
    values: dict[str, Any] = {
        "clip": [entry.key for entry in entries],
        "start": first_row + np.cumsum(rows) - rows,
        "rows": rows,
        "alive": np.ones(len(entries), dtype=bool),
        "bytes": np.array([entry.bytes for entry in entries], dtype=np.int64),
        "mtime_ns": np.array([entry.mtime_ns for entry in entries], dtype=np.int64),
    }
    for name, new in values.items():
        target = array(root, name)
        grow(target, before + len(entries))
        target[before:] = np.array(new, dtype=object) if name == "clip" else new
    grow(array(root, "sha256"), before + len(entries))
